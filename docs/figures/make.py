"""Draw the figures of the README and of the docs: `./dev python docs/figures/make.py`.

`four_optimizers.svg` runs a race of about half a minute; `schedule_*.svg` are what the
schedules draw of themselves.
"""

import argparse
from pathlib import Path

import numpy as np

import jopt

FOLDER = Path(__file__).parent
OPTIMIZERS = ("sgd(momentum=0.9)", "adamw", "lion", "muon")
SHORT = jopt.cosine_decay_schedule(1.0, 60)

SCHEDULES = {
    "warmup_cosine": jopt.warmup_cosine_decay_schedule(0.0, 1.0, 20, 200),
    "wsd": jopt.wsd_schedule(0.0, 1.0, 20, 200, 60, cooldown="1-sqrt"),
    "onecycle": jopt.cosine_onecycle_schedule(200, 1.0),
    "restarts": jopt.cosine_restarts_schedule(1.0, 30, t_mul=2),
    "inverse_sqrt": jopt.inverse_sqrt_schedule(0.0, 1.0, 20),
    "linear": jopt.linear_schedule(1.0, 0.0, 200),
    "polynomial": jopt.polynomial_schedule(1.0, 0.0, power=2, transition_steps=200),
    "exponential": jopt.exponential_decay(1.0, transition_steps=50, decay_rate=0.5),
    "step": jopt.step_decay(1.0, step_size=50, gamma=0.5),
    "multistep": jopt.multistep_decay(1.0, [80, 140], gamma=0.3),
    "cyclic": jopt.cyclic_schedule(0.1, 1.0, 30, 20, mode="triangular2"),
    "rex": jopt.rex_schedule(1.0, 0.0, 200),
    "then": SHORT.then(0.5 * SHORT, at=60).then(0.25 * SHORT, at=120),
    "sum": SHORT.shift(20) + 0.2,
}


def draw_schedules(folder: Path) -> None:
    """Write the picture of each schedule."""
    for name, schedule in SCHEDULES.items():
        picture = schedule._repr_svg_()
        assert picture is not None, name
        # `currentColor` is black where an SVG is shown as an image
        picture = picture.replace("currentColor", "#777")
        (folder / f"schedule_{name}.svg").write_text(picture + "\n", "utf8")


def draw_race(folder: Path) -> None:
    """Write the learning curves of four optimizers, each at the rate the race chose."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    result = jopt.race(optimizers=OPTIMIZERS, rates=8, seeds=3, steps=300)
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "jopt"}
    figure, axes = plt.subplots(figsize=(7.2, 3.2), layout="constrained")
    for row in sorted(result.leaderboard(), key=lambda row: row.name):
        entry = result.entry(row.name)
        curves = entry.train[entry.rates.index(row.rate)]  # seed, point
        steps = np.asarray(result.steps[1:])
        line = axes.plot(steps, curves.mean(0), label=f"{row.name}, {row.rate:.2g}")
        colour = line[0].get_color()
        axes.fill_between(steps, curves.min(0), curves.max(0), alpha=0.15, color=colour)
    axes.set(yscale="log", xlabel="step", ylabel="training loss")
    axes.set_title(
        "digits, two hidden layers of 128; mean and range of 3 seeds", size=9
    )
    axes.grid(alpha=0.25)
    axes.legend(title="optimizer, learning rate", frameon=False, fontsize=9)
    figure.savefig(folder / "four_optimizers.svg", metadata={"Date": None})
    print(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("race", "schedules"))
    only = parser.parse_args().only
    if only != "race":
        draw_schedules(FOLDER)
    if only != "schedules":
        draw_race(FOLDER)


if __name__ == "__main__":
    main()
