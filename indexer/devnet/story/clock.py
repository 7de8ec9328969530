"""When the story happens: one block an hour, from 2026-08-01 to 2026-11-05 UTC."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 8, 1, tzinfo=UTC)
DAYS = 97
HOURS = DAYS * 24  # block n is sealed n hours after START
HEAD = HOURS - 1  # 2026-11-05 23:00
FINALITY = 16
FINAL = HEAD - FINALITY
LAST_CALL_DAY = DAYS - 1  # calls end at midnight before the last day, so that every call is settled below finality
CUT = datetime(2026, 11, 3, tzinfo=UTC)  # what a first visit to the platform sees; late and corrected rows come after
PERIODS = ("2026-08", "2026-09", "2026-10")  # closed within the story
OPEN_PERIOD = "2026-11"
FORK = 822  # the last block both branches share, 2026-09-04 06:00: the August payouts are under way
REORG_DEPTH = 12


def moment(second: int) -> datetime:
    return START + timedelta(seconds=second)


def text(at: datetime) -> str:
    """ISO 8601 with a zone and always six decimals, so that text order is time order."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(second: int) -> str:
    return text(moment(second))


def second(at: datetime) -> int:
    return int((at - START).total_seconds())


def period(second: int) -> str:
    return moment(second).strftime("%Y-%m")


def period_end(name: str) -> int:
    """The first second after the period."""
    year, month = int(name[:4]), int(name[5:])
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return second(following)


def due(name: str) -> int:
    """A period's payouts are due by the end of the fifth day after it."""
    return period_end(name) + 5 * 86_400 - 1


def hour_after(second: int) -> int:
    """The block that a transaction sent at this second lands in."""
    return -(-second // 3_600)
