// Schedule expressions: the shared cases of AWS and of libraries, own cases for time zones and daylight saving, bounds.
#include "schedule/schedule.h"

#include <gtest/gtest.h>

#include <set>

#include "aws/conformance_test.h"
#include "base/json.h"
#include "base/time_format.h"

namespace mayfly::schedule {
namespace {

SystemTime at(std::string_view text) {
  const auto time = parse_iso8601(text);
  EXPECT_TRUE(time) << text;
  return time.value_or(SystemTime());
}

std::string text_of(std::optional<SystemTime> time) {
  return time ? iso8601_millis(*time).substr(0, 19) + "Z" : "never";
}

TimeZonePtr zone(std::string_view name) {
  static TimeZones zones{std::filesystem::path(kZoneFolder)};
  auto found = zones.find(name);
  EXPECT_TRUE(found) << name;
  return found ? *found : nullptr;
}

// The next `count` times, one a line.
std::string next_times(std::string_view expression, std::string_view zone_name, std::string_view after, int count) {
  const auto schedule = Schedule::parse(expression, Dialect::kScheduler);
  if (!schedule) return schedule.error().message;
  std::string out;
  SystemTime now = at(after);
  const SystemTime anchor = now;
  for (int i = 0; i < count; ++i) {
    const auto next = schedule->next_after(now, *zone(zone_name), anchor);
    out += text_of(next) + "\n";
    if (!next) break;
    now = *next;
  }
  return out;
}

bool valid(std::string_view expression, Dialect dialect) { return Schedule::parse(expression, dialect).has_value(); }

// --- The shared cases ------------------------------------------------------------------------------------------------

// Cases in which the libraries contradict each other; what is kept here is the other one's answer.
const std::set<std::string, std::less<>> kContested{
    // Refused by one validator only; Quartz and two other libraries take "L-n", and another case has its times.
    "cron(0 18 L-3 * ? *)",
};

std::string run_case(const json::value& c) {
  const auto expression =
      std::string(get_string(c, c.as_object().contains("expression") ? "expression" : "schedule_expression"));
  const bool rule = get_string(c, "operation") == "events:PutRule";
  const auto schedule = Schedule::parse(expression, rule ? Dialect::kRule : Dialect::kScheduler);
  if (const auto expect = get_string(c, "expect"); !expect.empty()) {
    if (schedule.has_value() != (expect == "valid")) return "should be " + std::string(expect);
    const auto message = get_string(c, "error_message");
    if (!schedule && !message.empty() && schedule.error().message != message) return schedule.error().message;
    return {};
  }
  if (!schedule) return schedule.error().hint;
  if (c.as_object().contains("fires")) {
    const auto when = at(get_string(c, "at"));
    const auto next = schedule->next_after(when - std::chrono::minutes(1), when);
    const bool fires = next && std::chrono::floor<std::chrono::minutes>(*next) == when;
    return fires == get_bool(c, "fires", false) ? "" : "fires " + text_of(next);
  }
  SystemTime now = at(get_string(c, "after"));
  for (const auto& expected : c.at("next").as_array()) {
    const auto next = schedule->next_after(now, now);
    if (text_of(next) != expected.as_string()) return text_of(next) + ", not " + std::string(expected.as_string());
    now = *next;
  }
  // The generated set says four times or all there are.
  if (c.at("next").as_array().empty() ||
      (c.at("id").as_string().starts_with("c") && c.at("next").as_array().size() < 4)) {
    const auto next = schedule->next_after(now, now);
    if (next) return text_of(next) + ", not never";
  }
  return {};
}

TEST(ScheduleConformance, OfTheSharedCases98InAHundredPass) {
  std::size_t passed = 0;
  std::size_t all = 0;
  for (const auto* set : {"aws_recorded_validity", "community_cron_validity", "community_next_run",
                          "generated_next_run_two_libraries_agree"}) {
    const auto file = aws::conformance_file(std::string("schedule-expressions/") + set + ".json");
    if (!file) GTEST_SKIP() << "SKIPPED: no conformance data; set MAYFLY_CONFORMANCE_DIR";
    for (const auto& c : file->at("cases").as_array()) {
      const auto wrong = run_case(c);
      const auto expression = get_string(c, "expression");
      if (!wrong.empty() && !kContested.contains(expression)) {
        ADD_FAILURE() << set << " " << c.at("id") << " " << expression << ": " << wrong;
      }
      ++all;
      if (wrong.empty()) ++passed;
    }
  }
  std::cout << "schedule expressions: " << passed << " of " << all << "\n";
  EXPECT_GE(passed * 100, all * 98);
}

// --- What is taken, and what is said of what is not
// -------------------------------------------------------------------

TEST(Expressions, RulesWantTheUnitInAgreementAndKnowNoAt) {
  EXPECT_TRUE(valid("rate(1 minute)", Dialect::kRule));
  EXPECT_TRUE(valid("rate(2 days)", Dialect::kRule));
  for (const auto* refused : {"rate(1 minutes)", "rate(2 day)", "at(2030-01-01T00:00:00)"}) {
    EXPECT_FALSE(valid(refused, Dialect::kRule)) << refused;
    EXPECT_TRUE(valid(refused, Dialect::kScheduler)) << refused;
  }
}

TEST(Expressions, WhatIsNoneIsRefusedInBothDialects) {
  for (const auto* refused : {"",
                              "cron",
                              "cron()",
                              "cron(",
                              ")",
                              "rate()",
                              "rate(5)",
                              "rate(5minutes)",
                              "rate(0 days)",
                              "rate(5  days)",
                              "rate(5 days )",
                              "rate(+5 days)",
                              "rate(5.5 days)",
                              "rate(9999999999 days)",
                              "rate(5 days",
                              " rate(5 days)",
                              "RATE(5 days)",
                              "at(2030-02-30T00:00:00)",
                              "at(2030-01-01T24:00:00)",
                              "at(2030-01-01T00:60:00)",
                              "at(2030-01-01T00:00:00Z)",
                              "at(2030-01-01 00:00:00)",
                              "at(2030-1-1T00:00:00)",
                              "cron(* * * * *)",
                              "cron(* * ? * ? *)",
                              "cron(* * * * * *)",
                              "cron(60 * * * ? *)",
                              "cron(* 24 * * ? *)",
                              "cron(* * 0 * ? *)",
                              "cron(* * 32 * ? *)",
                              "cron(* * * 13 ? *)",
                              "cron(* * * 0 ? *)",
                              "cron(* * ? * 0 *)",
                              "cron(* * ? * 8 *)",
                              "cron(* * * * ? 1969)",
                              "cron(* * * * ? 2200)",
                              "cron(? * * * ? *)",
                              "cron(* * W * ? *)",
                              "cron(* * 0W * ? *)",
                              "cron(* * L-0 * ? *)",
                              "cron(* * L-31 * ? *)",
                              "cron(* * L,15 * ? *)",
                              "cron(* * ? * 3#1,6#3 *)",
                              "cron(* * ? * 3#6 *)",
                              "cron(* * ? * 3#0 *)",
                              "cron(*/ * * * ? *)",
                              "cron(/5 * * * ? *)",
                              "cron(5- * * * ? *)",
                              "cron(1,,2 * * * ? *)",
                              "cron(1, * * * ? *)",
                              "cron(-5 * * * ? *)",
                              "cron(1/2/3 * * * ? *)",
                              "cron(* * ? * MONDAY *)",
                              "cron(* * * JANUARY ? *)",
                              "cron(00000 * * * ? *)"}) {
    EXPECT_FALSE(valid(refused, Dialect::kRule)) << refused;
    EXPECT_FALSE(valid(refused, Dialect::kScheduler)) << refused;
  }
  const auto why = Schedule::parse("cron(* 25 * * ? *)", Dialect::kScheduler);
  ASSERT_FALSE(why);
  EXPECT_EQ(why.error().message, "Invalid Schedule Expression cron(* 25 * * ? *).");
  EXPECT_EQ(why.error().hint, "the field for hours cannot be read");
}

TEST(Expressions, TextBeyondItsBoundIsRefused) {
  EXPECT_FALSE(valid("cron(" + std::string(300, ' ') + "* * * * ? *)", Dialect::kScheduler));
  EXPECT_FALSE(valid(std::string(1 << 20, '('), Dialect::kScheduler));
}

// --- When ------------------------------------------------------------------------------------------------------------

TEST(Times, ARateIsDueAtItsAnchorAndEachPeriodAfterIt) {
  const auto schedule = Schedule::parse("rate(90 minutes)", Dialect::kScheduler);
  ASSERT_TRUE(schedule);
  const auto anchor = at("2026-03-01T12:00:07Z");
  const auto next = [&](std::string_view after) { return text_of(schedule->next_after(at(after), anchor)); };
  EXPECT_EQ(next("2026-02-01T00:00:00Z"), "2026-03-01T12:00:07Z");
  EXPECT_EQ(next("2026-03-01T12:00:07Z"), "2026-03-01T13:30:07Z");
  EXPECT_EQ(next("2026-03-01T13:30:06Z"), "2026-03-01T13:30:07Z");
  EXPECT_EQ(next("2026-03-01T13:30:07Z"), "2026-03-01T15:00:07Z");
  const auto rare = Schedule::parse("rate(999999999 days)", Dialect::kScheduler);
  ASSERT_TRUE(rare);
  EXPECT_EQ(text_of(rare->next_after(anchor, anchor)), "never");
}

TEST(Times, AtIsDueOnce) {
  EXPECT_EQ(next_times("at(2026-03-01T12:00:30)", "UTC", "2026-01-01T00:00:00Z", 2), "2026-03-01T12:00:30Z\nnever\n");
  EXPECT_EQ(next_times("at(2026-03-01T12:00:30)", "Asia/Kolkata", "2026-01-01T00:00:00Z", 1), "2026-03-01T06:30:30Z\n");
  EXPECT_EQ(next_times("at(2020-03-01T12:00:30)", "UTC", "2026-01-01T00:00:00Z", 1), "never\n");
}

TEST(Times, WrappingRangesAndStepsOfNought) {
  EXPECT_EQ(next_times("cron(0 22-2 ? * * *)", "UTC", "2026-01-01T01:30:00Z", 3),
            "2026-01-01T02:00:00Z\n2026-01-01T22:00:00Z\n2026-01-01T23:00:00Z\n");
  EXPECT_EQ(next_times("cron(0 9 ? * FRI-MON *)", "UTC", "2026-01-01T10:00:00Z", 4),  // a Thursday
            "2026-01-02T09:00:00Z\n2026-01-03T09:00:00Z\n2026-01-04T09:00:00Z\n2026-01-05T09:00:00Z\n");
  EXPECT_EQ(next_times("cron(7/0 * * * ? *)", "UTC", "2026-01-01T00:07:00Z", 1), "2026-01-01T01:07:00Z\n");
  EXPECT_EQ(next_times("cron(0 0 1 MAR/4 ? *)", "UTC", "2026-01-01T00:00:00Z", 3),
            "2026-03-01T00:00:00Z\n2026-07-01T00:00:00Z\n2026-11-01T00:00:00Z\n");
}

TEST(Times, WorkdaysStayInTheirMonth) {
  // 1 August 2026 is a Saturday, 31 May 2026 a Sunday.
  EXPECT_EQ(next_times("cron(0 0 1W 8 ? 2026)", "UTC", "2026-01-01T00:00:00Z", 2), "2026-08-03T00:00:00Z\nnever\n");
  EXPECT_EQ(next_times("cron(0 0 31W 5 ? 2026)", "UTC", "2026-01-01T00:00:00Z", 2), "2026-05-29T00:00:00Z\nnever\n");
  EXPECT_EQ(next_times("cron(0 0 LW 5 ? 2026)", "UTC", "2026-01-01T00:00:00Z", 2), "2026-05-29T00:00:00Z\nnever\n");
  EXPECT_EQ(next_times("cron(0 0 30W 2 ? *)", "UTC", "2026-01-01T00:00:00Z", 1), "never\n");
  EXPECT_EQ(next_times("cron(0 0 29 2 ? *)", "UTC", "2026-01-01T00:00:00Z", 2),
            "2028-02-29T00:00:00Z\n2032-02-29T00:00:00Z\n");
}

TEST(Times, NothingIsDueBehindTheLastYear) {
  EXPECT_EQ(next_times("cron(59 23 31 12 ? *)", "UTC", "2199-01-01T00:00:00Z", 2), "2199-12-31T23:59:00Z\nnever\n");
  EXPECT_EQ(next_times("cron(* * * * ? *)", "UTC", "2400-01-01T00:00:00Z", 1), "never\n");
}

// --- Daylight saving -------------------------------------------------------------------------------------------------

TEST(DaylightSaving, ASkippedTimeDoesNotRunThatDay) {
  // New York goes from 02:00 to 03:00 on 8 March 2026.
  EXPECT_EQ(next_times("cron(30 2 * * ? *)", "America/New_York", "2026-03-07T12:00:00Z", 2),
            "2026-03-09T06:30:00Z\n2026-03-10T06:30:00Z\n");
  EXPECT_EQ(next_times("cron(0/30 * * * ? *)", "America/New_York", "2026-03-08T06:00:00Z", 3),
            "2026-03-08T06:30:00Z\n2026-03-08T07:00:00Z\n2026-03-08T07:30:00Z\n");
  EXPECT_EQ(next_times("cron(0 3 * * ? *)", "America/New_York", "2026-03-08T06:00:00Z", 1), "2026-03-08T07:00:00Z\n");
}

TEST(DaylightSaving, ARepeatedTimeRunsOnceTheFirstTime) {
  // New York goes from 02:00 to 01:00 on 1 November 2026.
  EXPECT_EQ(next_times("cron(30 1 * * ? *)", "America/New_York", "2026-10-31T12:00:00Z", 2),
            "2026-11-01T05:30:00Z\n2026-11-02T06:30:00Z\n");
  EXPECT_EQ(next_times("cron(0/30 * * * ? *)", "America/New_York", "2026-11-01T04:59:00Z", 3),
            "2026-11-01T05:00:00Z\n2026-11-01T05:30:00Z\n2026-11-01T07:00:00Z\n");
  // Asked from within the second pass.
  EXPECT_EQ(next_times("cron(0/5 * * * ? *)", "America/New_York", "2026-11-01T06:12:00Z", 1), "2026-11-01T07:00:00Z\n");
}

TEST(DaylightSaving, ADayOfARateIs24Hours) {
  EXPECT_EQ(next_times("rate(1 day)", "America/New_York", "2026-03-07T17:00:00Z", 1), "2026-03-08T17:00:00Z\n");
}

TEST(DaylightSaving, AnAtThatIsSkippedRunsAfterTheChangeAndARepeatedOneTheFirstTime) {
  EXPECT_EQ(next_times("at(2026-03-08T02:30:00)", "America/New_York", "2026-01-01T00:00:00Z", 2),
            "2026-03-08T07:30:00Z\nnever\n");
  EXPECT_EQ(next_times("at(2026-11-01T01:30:00)", "America/New_York", "2026-01-01T00:00:00Z", 2),
            "2026-11-01T05:30:00Z\nnever\n");
}

TEST(DaylightSaving, OddZones) {
  // Half an hour of summer; the south's summer goes over the turn of the year.
  EXPECT_EQ(next_times("cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
            "2026-10-04T15:15:00Z\n2026-10-05T15:15:00Z\n");
  // Samoa had no 30 December 2011.
  EXPECT_EQ(next_times("cron(0 12 ? * * *)", "Pacific/Apia", "2011-12-28T23:00:00Z", 2),
            "2011-12-29T22:00:00Z\n2011-12-30T22:00:00Z\n");
  EXPECT_EQ(next_times("cron(* * 30 12 ? 2011)", "Pacific/Apia", "2011-12-28T23:00:00Z", 1), "never\n");
}

TEST(DaylightSaving, HoldsBehindTheEndOfTheFilesTransitions) {
  // The files list transitions until 2037; what follows is their last line's rule.
  EXPECT_EQ(next_times("cron(0 12 ? 3 SUN#2 *)", "America/New_York", "2098-01-01T00:00:00Z", 1),
            "2098-03-09T16:00:00Z\n");
  EXPECT_EQ(next_times("cron(0 12 8 3 ? *)", "America/New_York", "2098-01-01T00:00:00Z", 1), "2098-03-08T17:00:00Z\n");
  EXPECT_EQ(next_times("cron(30 2 ? 3 SUN#2 *)", "America/New_York", "2098-01-01T00:00:00Z", 1), "never\n")
      << "the summer begins at 02:00 on each second Sunday of March";
  EXPECT_EQ(next_times("cron(0/30 1 1 11 ? 2099)", "America/New_York", "2098-01-01T00:00:00Z", 3),
            "2099-11-01T05:00:00Z\n2099-11-01T05:30:00Z\nnever\n");
}

// Every zone of the system, at many times: the instant of the time on the wall is the instant.
TEST(Zones, WallTimesOfAllZonesResolveBack) {
  TimeZones zones{std::filesystem::path(kZoneFolder)};
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kZoneFolder)) {
    if (!entry.is_regular_file()) continue;
    const auto name = std::filesystem::relative(entry.path(), kZoneFolder).string();
    const auto found = zones.find(name);
    if (!found) {
      EXPECT_EQ(found.error().code, ErrorCode::kNotFound) << name << ": " << found.error().message;
      continue;
    }
    ++count;
    const Instant start{std::chrono::sys_days(std::chrono::year(1975) / 1 / 1)};
    for (int step = 0; step < 3'000; ++step) {
      const auto instant = start + step * std::chrono::minutes(40'001);
      const auto resolved = (*found)->resolve((*found)->wall_time(instant));
      if (resolved.kind == TimeZone::Resolved::Kind::kRepeated) {
        ASSERT_LE(resolved.instant, instant) << name;
        ASSERT_LE(instant - resolved.instant, std::chrono::hours(24)) << name;
      } else {
        ASSERT_EQ(resolved.kind, TimeZone::Resolved::Kind::kOnce) << name << " " << instant.time_since_epoch().count();
        ASSERT_EQ(resolved.instant, instant) << name;
      }
    }
  }
  EXPECT_GT(count, 300U) << "is the package tzdata installed?";
}

TEST(Zones, NamesThatAreNoneAreNotFound) {
  TimeZones zones{std::filesystem::path(kZoneFolder)};
  for (const auto* name : {"", "Nowhere", "../zoneinfo/UTC", "/etc/passwd", "Europe", "zone.tab", "Europe/Berlin/",
                           "x\n", "posix/Europe/Berlin", "right/Europe/Berlin"}) {
    const auto found = zones.find(name);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code, ErrorCode::kNotFound) << name;
  }
}

TEST(Zones, DamagedFilesAreRefused) {
  std::ifstream file(std::string(kZoneFolder) + "/Europe/Berlin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  ASSERT_TRUE(TimeZone::parse(bytes));
  for (std::size_t length = 0; length < bytes.size(); length += 7) {
    const auto cut = TimeZone::parse(bytes.substr(0, length));
    // A file that is whole but for its last line is one of an old form, and good.
    if (length < bytes.size() - 40) EXPECT_FALSE(cut) << length;
  }
  auto counts = bytes;
  counts[20 + 12] = '\x7f';  // two thousand million transitions
  EXPECT_FALSE(TimeZone::parse(counts));
}

TEST(Zones, RulesOfPosix) {
  EXPECT_TRUE(PosixZone::parse("UTC0"));
  EXPECT_TRUE(PosixZone::parse("<+0330>-3:30"));
  EXPECT_TRUE(PosixZone::parse("IST-1GMT0,M10.5.0,M3.5.0/1"));  // Dublin: winter is the exception
  EXPECT_TRUE(PosixZone::parse("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"));
  EXPECT_TRUE(PosixZone::parse("EST5EDT,J60/2,300/3"));
  for (const auto* bad : {"", "U0", "UTC", "UTC200", "EST5EDT", "EST5EDT,M13.1.0,M1.1.0", "EST5EDT,M3.6.0,M1.1.0",
                          "EST5EDT,M3.5.7,M1.1.0", "EST5EDT,M3.5.0", "EST5EDT,M3.5.0,M10.5.0,", "<+03-3"}) {
    EXPECT_FALSE(PosixZone::parse(bad)) << bad;
  }
}

// Not a benchmark, a bound: a scan of minutes over years would take seconds.
TEST(Times, AreFoundWithoutAScan) {
  const auto rare = Schedule::parse("cron(0 0 30 2 ? *)", Dialect::kScheduler);
  const auto leap = Schedule::parse("cron(59 23 29 2 ? 2196)", Dialect::kScheduler);
  ASSERT_TRUE(rare && leap);
  const auto berlin = zone("Europe/Berlin");
  for (int i = 0; i < 2'000; ++i) {
    const auto now = at("2026-01-01T00:00:00Z") + std::chrono::minutes(i);
    EXPECT_FALSE(rare->next_after(now, *berlin, now));
    EXPECT_EQ(text_of(leap->next_after(now, *berlin, now)), "2196-02-29T22:59:00Z");
  }
}

}  // namespace
}  // namespace mayfly::schedule
