"""Learning rates against torch's own schedulers."""

import pytest
import torch

from metamers.errors import StudyError
from metamers.training.schedule import learning_rate


def rates_of(make_scheduler, steps, peak):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(("epochs", "steps"), [(3, 40), (1, 10), (12, 7)])
def test_one_cycle_is_torchs(epochs, steps):
    training = {
        "epochs": epochs,
        "learning_rate": 0.05,
        "schedule": {"kind": "one_cycle"},
    }
    total = epochs * steps
    expected = rates_of(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.05, total_steps=total, cycle_momentum=False
        ),
        total - 1,
        0.05,
    )
    found = [learning_rate(training, step, steps) for step in range(total)]
    assert found[:-1] == pytest.approx(expected)
    assert found[-1] == pytest.approx(0.05 / 25 / 1e4)


def test_steps_fall_by_the_factor_every_few_epochs():
    training = {
        "epochs": 7,
        "learning_rate": 0.1,
        "schedule": {"kind": "step", "every": 3, "factor": 0.2},
    }
    expected = rates_of(
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3 * 5, 0.2),
        7 * 5,
        0.1,
    )
    found = [learning_rate(training, step, 5) for step in range(7 * 5)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_shortest_trainings_have_a_rate(steps):
    training = {"epochs": 1, "learning_rate": 1.0, "schedule": {"kind": "one_cycle"}}
    rates = [learning_rate(training, step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    # With fewer than four steps there is none left to rise in.
    assert rates[0] == pytest.approx(1.0 if steps < 4 else 1 / 25)


def test_an_unknown_schedule_is_refused():
    training = {"epochs": 1, "learning_rate": 1.0, "schedule": {"kind": "one-cycle"}}
    with pytest.raises(StudyError, match="did you mean 'one_cycle'"):
        learning_rate(training, 0, 10)


@pytest.mark.parametrize("kind", ["one_cycle", "step"])
def test_warming_up_rises_from_zero_times_the_schedule(kind):
    schedule = {"kind": kind, "every": 2, "factor": 0.1}
    training = {"epochs": 4, "learning_rate": 0.1, "schedule": schedule}
    plain = [learning_rate(training, step, 5) for step in range(20)]
    warm = {**training, "warm_up_steps": 8}
    found = [learning_rate(warm, step, 5) for step in range(20)]
    expected = [rate * min(step / 8, 1) for step, rate in enumerate(plain)]
    assert found == pytest.approx(expected, rel=1e-15)
    assert found[0] == 0
    assert found[8:] == plain[8:]
    assert [learning_rate({**training, "warm_up_steps": 0}, s, 5) for s in (0, 7)] == [
        plain[0],
        plain[7],
    ]
