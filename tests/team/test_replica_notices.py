"""One caller's servers tell each other what their calls changed, and nobody else."""

from mixpanel_mcp.resources.notices import Notice, Notices


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.told: list[Notice] = []
        self.times_missed = 0

    async def heard(self, notice: Notice) -> None:
        self.told.append(notice)

    def missed(self) -> None:
        self.times_missed += 1


async def test_all_but_the_teller_hear_it_until_they_leave() -> None:
    notices, here, there, gone = Notices(), Listener(), Listener(), Listener()
    for each in (here, there, gone):
        notices.listen(each)
    notices.leave(gone)
    notice = Notice("pipelines", ("trips",))

    await notices.tell(notice, here)
    notices.missed()

    assert (here.told, there.told, gone.told) == ([], [notice], [])
    assert (here.times_missed, there.times_missed, gone.times_missed) == (1, 1, 0)
