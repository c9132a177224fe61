"""A catalog of 1,000 backups, made from a real `pgbackrest info`."""

import copy
import datetime

# 40 fulls; on each stand six differentials, and on each of those three incrementals.
FULLS, DIFFERENTIALS, INCREMENTALS = 40, 6, 3


def thousand_backups(info):
    """`info` with its last backup repeated as history would have it."""
    stanza = copy.deepcopy(info)
    template, made = stanza[0]["backup"][-1], []
    begin = datetime.datetime(2024, 1, 1, 3, tzinfo=datetime.timezone.utc)

    def add(kind, at, above):
        stamp = at.strftime("%Y%m%d-%H%M%S")
        label = f"{stamp}F" if not above else f"{above[0]}_{stamp}{'D' if kind == 'diff' else 'I'}"
        one = copy.deepcopy(template)
        segment = f"{1:08X}{len(made) // 256:08X}{len(made) % 256:08X}"
        one |= {
            "annotation": {"request": f"postgresql-0-{len(made):032x}"},
            "archive": {"start": segment, "stop": segment},
            "label": label,
            "prior": above[-1] if above else None,
            "reference": list(above) or None,
            "timestamp": {"start": int(at.timestamp()), "stop": int(at.timestamp()) + 90},
            "type": kind,
        }
        made.append(one)
        return label

    for week in range(FULLS):
        at = begin + datetime.timedelta(weeks=week)
        full = add("full", at, [])
        for day in range(DIFFERENTIALS):
            at += datetime.timedelta(days=1)
            chain = [full, add("diff", at, [full])]
            for hours in range(1, 1 + INCREMENTALS):
                chain.append(add("incr", at + datetime.timedelta(hours=6 * hours), chain))
    stanza[0]["backup"] = made
    return stanza
