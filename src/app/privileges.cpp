#include "app/privileges.h"

#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <memory>

namespace mayfly::app {

Result<void> drop_privileges() {
  // No core dump and no debugger of the same user: the daemon's memory holds credentials.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("PR_SET_DUMPABLE");
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) return fail_errno("RLIMIT_CORE");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("PR_SET_NO_NEW_PRIVS");
  const std::unique_ptr<_cap_struct, int (*)(void*)> now(::cap_get_proc(), ::cap_free);
  const std::unique_ptr<_cap_struct, int (*)(void*)> wanted(::cap_init(), ::cap_free);
  if (!now || !wanted) return fail_errno("capabilities");
  cap_flag_value_t may_bind = CAP_CLEAR;
  ::cap_get_flag(now.get(), CAP_NET_BIND_SERVICE, CAP_PERMITTED, &may_bind);
  if (may_bind == CAP_SET) {
    const std::array<cap_value_t, 1> kept{CAP_NET_BIND_SERVICE};
    ::cap_set_flag(wanted.get(), CAP_PERMITTED, 1, kept.data(), CAP_SET);
    ::cap_set_flag(wanted.get(), CAP_EFFECTIVE, 1, kept.data(), CAP_SET);
  }
  if (::cap_set_proc(wanted.get()) != 0) return fail_errno("capset");
  return {};
}

Result<void> raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("RLIMIT_NOFILE");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("RLIMIT_NOFILE");
  return {};
}

}  // namespace mayfly::app
