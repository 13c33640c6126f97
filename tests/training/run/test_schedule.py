"""Rates of a run: against PyTorch's own one-cycle schedule, and where the steps fall."""

from __future__ import annotations

import pytest
import torch

from dgex.errors import SettingsError
from dgex.training.run.schedule import share
from dgex.training.run.settings import TrainingSettings


@pytest.mark.parametrize("total", [4, 10, 97, 400])
def test_one_cycle_is_that_of_pytorch(total: int) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=total)
    for done in range(total):
        assert share("one-cycle", done, total) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
        optimiser.step()
        theirs.step()


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_run_of_few_steps_has_rates_too(total: int) -> None:
    rates = [share("one-cycle", done, total) for done in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[0] == 1.0


def test_steps_fall_at_the_epochs_of_the_paper_on_adaptive_units() -> None:
    settings = TrainingSettings(1.0, epochs=600, schedule="steps")
    rates = [settings.rates(1.0, epoch, 3) for epoch in range(1, 601)]
    falls = [done for done in range(1, 600) if rates[done][0] < rates[done - 1][2]]
    assert falls == [400, 475, 550, 575]  # epochs that are done by then
    assert all(row[0] == row[2] for row in rates)


def test_a_constant_rate_stays() -> None:
    assert TrainingSettings(0.3, epochs=2).rates(0.2, 2, 3) == [0.2, 0.2, 0.2]
    with pytest.raises(SettingsError, match="schedule: found 'waves', accepted constant, one-cycle, steps"):
        TrainingSettings(0.3, schedule="waves")
