"""A hostile function. `handler` takes {"attack": name, ...}, tries it, and answers {"escaped": bool, "evidence": str}.

Standard library and raw system calls only, so that no library declines on the attacker's behalf. An attack says "escaped" only for
something that it did obtain; what it was refused goes into the evidence, so that a test can see that the attack was really tried.
The exhaustion attacks (bombs, floods) end when they are stopped or after their own bound, which is far beyond every limit of a
sandbox. Attacks whose success would harm the machine that runs the tests are tried in a harmless form: a signal to everything is
SIGCONT, a file is opened for writing and not written.
"""

import attack_exhaustion  # noqa: F401
import attack_files  # noqa: F401
import attack_kernel  # noqa: F401
import attack_network  # noqa: F401
import attack_privileges  # noqa: F401
import attack_processes  # noqa: F401
from attacking import ATTACKS, Report


def handler(event, context):
    report = Report()
    ATTACKS[event["attack"]](event, report)
    return report.answer()
