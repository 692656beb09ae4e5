// Packages that operations are working with, told from those that nobody uses any more.
//
// Operation.   Between the moment a package is unpacked and the moment a record names it nothing else says that it is
// needed: the
//              operation holds it meanwhile. What is to be removed is claimed first, and cannot be held until it is
//              gone.
// Concurrency. Any thread; the mutex is held for a lookup.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace mayfly::lambda {

class PackagesInHand {
 public:
  using Hold = std::shared_ptr<const void>;
  // Null while that very package is being removed. The hold may outlive this object.
  [[nodiscard]] Hold hold(const std::string& sha);
  // False where somebody holds it.
  [[nodiscard]] bool claim_for_removal(const std::string& sha);
  void removed(const std::string& sha);

 private:
  struct State {
    std::mutex mutex;
    std::map<std::string, std::size_t> held;
    std::set<std::string> claimed;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace mayfly::lambda
