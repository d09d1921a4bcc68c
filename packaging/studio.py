"""Set DiT Studio up and run it: python3 packaging/studio.py [COMMAND ...]

  (nothing)       open the window              demo, train, sample, ...   what `dit-studio COMMAND` does
  setup           install only                 test [PYTEST OPTIONS]      every check
It needs Python 3.11 or newer and nothing else. Environment: DIT_STUDIO_VENV is where the packages go (else .venv),
DIT_STUDIO_TORCH_INDEX is a package index that torch comes from (else the one that pip uses).
"""

import sys


def refusal(version):  # type: ignore[no-untyped-def]  # an old Python must be able to read this file
    """Why that version of Python cannot be used, or None."""
    if tuple(version[:2]) >= (3, 11):
        return None
    sentence = "DiT Studio needs Python 3.11 or newer, and this is Python {}.{}: start it with a newer one."
    return sentence.format(*version[:2])


if __name__ == "__main__":
    problem = refusal(sys.version_info)
    if problem:
        sys.exit(problem)
    from set_up import main

    sys.exit(main(sys.argv[1:], usage=__doc__))
