// Callbacks that hear of events until their token is destroyed. Used by the store's watches and by those who follow
// logs.
//
// Concurrency. add() from any thread. publish() from one thread. Destroying a token waits for a call of its callback
//              that is running on another thread, so what the callback refers to may be destroyed after the token; a
//              callback may destroy its own token. Tokens may outlive the Subscribers.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace mayfly {

template <typename Topic, typename Event>
class Subscribers {
 public:
  using Callback = std::function<void(const Event&)>;

  // The subscription lasts as long as the returned token.
  std::shared_ptr<void> add(Topic topic, Callback callback) {
    auto entry = std::make_shared<Entry>(std::move(topic), std::move(callback));
    {
      std::lock_guard lock(mutex_);
      entries_.push_back(entry);
    }
    return std::make_shared<Token>(std::move(entry));
  }

  // Calls every callback whose topic `matches`.
  template <typename Matches>
  void publish(const Event& event, Matches matches) {
    std::vector<std::shared_ptr<Entry>> present;
    {
      std::lock_guard lock(mutex_);
      std::erase_if(entries_, [](const std::weak_ptr<Entry>& entry) { return entry.expired(); });
      for (const auto& entry : entries_) {
        if (auto held = entry.lock(); held && matches(held->topic)) present.push_back(std::move(held));
      }
    }
    for (const auto& entry : present) {
      std::lock_guard lock(entry->mutex);
      if (entry->live) entry->callback(event);
    }
  }

 private:
  struct Entry {
    Entry(Topic t, Callback c) : topic(std::move(t)), callback(std::move(c)) {}
    const Topic topic;
    const Callback callback;
    std::recursive_mutex mutex;  // recursive, for the callback that destroys its own token
    bool live = true;
  };
  struct Token {
    explicit Token(std::shared_ptr<Entry> e) : entry(std::move(e)) {}
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    ~Token() {
      std::lock_guard lock(entry->mutex);
      entry->live = false;
    }
    std::shared_ptr<Entry> entry;
  };
  std::mutex mutex_;
  std::vector<std::weak_ptr<Entry>> entries_;
};

}  // namespace mayfly
