"""Builds of images: how much later a run starts than with a ready image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.builds.buildah import dockerfile, own_store
from benchmarks.builds.lab import build_seconds, moment, open_lab, step_seconds
from benchmarks.harness.interleave import figures, interleave

if TYPE_CHECKING:
    from benchmarks.builds.buildah import Buildah
    from benchmarks.builds.lab import Lab, Started
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["many", "python", "there"]

_RUNS: Final = 20
_SENT: Final = "builds.python.changed.sent"


def there(testbed: Testbed, repeats: int) -> list[Figure]:
    """Runs whose image is there: with a channel for its tag, and with one for the branch that it was built from."""
    with open_lab(testbed) as lab:
        lab.commit(packages=False)
        built = lab.built_component()
        build = lab.build(lab.run(built).name)
        ready = lab.tagged_component(lab.image(built, build))
        values = interleave([partial(_pair, lab, ready, built)], repeats)
    pairs = {f"builds.there.built{part}": f"builds.there.ready{part}" for part in ("", ".pod")}
    return figures(values, "s", pairs)


def _pair(lab: Lab, ready: str, built: str) -> dict[str, float]:
    with_tag, with_branch = lab.run(ready), lab.run(built)
    pods = [lab.pod_seconds(run) for run in (with_tag, with_branch)]
    return {
        "builds.there.ready": with_tag.seconds,
        "builds.there.built": with_branch.seconds,
        "builds.there.added": with_branch.seconds - with_tag.seconds,
        "builds.there.ready.pod": pods[0],
        "builds.there.built.pod": pods[1],
        "builds.there.added.pod": pods[1] - pods[0],
    }


def python(testbed: Testbed, repeats: int) -> list[Figure]:
    """A component with ten packages: its first image, and that of a changed line; and both with buildah."""
    with open_lab(testbed) as lab, own_store() as buildah:
        values = interleave([partial(_builds, lab), partial(_dockerfiles, lab, buildah)], repeats)
    sent = {_SENT: values.pop(_SENT)}
    pairs = {f"builds.python.{name}.build": f"builds.python.{name}.buildah" for name in ("cold", "changed")}
    return [*figures(values, "s", pairs), *figures(sent, "KiB")]


def _builds(lab: Lab) -> dict[str, float]:
    """The first run of a new Component, then one after a changed line."""
    component = lab.built_component()
    found: dict[str, float] = {}
    for name in ("cold", "changed"):
        lab.commit()
        run = lab.run(component)
        build = lab.build(run.name)
        found[f"builds.python.{name}"] = run.seconds
        found[f"builds.python.{name}.build"] = build_seconds(build)
        found[f"builds.python.{name}.commands"] = step_seconds(build, "commands")
    found[_SENT] = build["status"]["pushed"]["sentBytes"] / 1024
    return found


def _dockerfiles(lab: Lab, buildah: Buildah) -> dict[str, float]:
    """The same with a Dockerfile: without layers of earlier builds, then with the layer of the packages."""
    reference = f"{lab.target}/{lab.tenant.namespace}/buildah"
    found = {}
    for name in ("cold", "changed"):
        files = lab.files()
        text = dockerfile(lab.parent, files, lab.arguments)
        seconds = buildah.build(files, text, f"{reference}:{name}", use_cache=name == "changed")
        found[f"builds.python.{name}.buildah"] = seconds
    return found


def many(testbed: Testbed, repeats: int) -> list[Figure]:
    """20 runs at once of an image that is there, and of a commit that has to be built first."""
    count = max(2, round(_RUNS * testbed.scale))
    with open_lab(testbed) as lab:
        lab.commit(packages=False)
        component = lab.built_component()
        build = lab.build(lab.run(component).name)
        ready = lab.tagged_component(lab.image(component, build))
        trial = _Crowd(lab, component, ready, count)
        values = interleave([trial.ready, trial.built], repeats)
    return figures(values, "s", {"builds.many.last": "builds.many.ready"})


@dataclass(frozen=True)
class _Crowd:
    """Runs that are created at once."""

    lab: Lab
    component: str
    """The Component that is built."""
    tagged: str
    """The Component with a ready image."""
    count: int

    def ready(self) -> dict[str, float]:
        """From the creation of the first run to the start of the last component."""
        runs = self._run(self.tagged)
        return {"builds.many.ready": max(run.started for run in runs) - min(run.created for run in runs)}

    def built(self) -> dict[str, float]:
        """From the end of the build to the starts of the first and the last component, and to the last pod."""
        before = len(self.lab.builds(self.component))
        self.lab.commit(packages=False)
        runs = self._run(self.component)
        made = len(self.lab.builds(self.component)) - before
        assert made == 1, f"{self.count} runs of one commit had {made} builds"
        end = moment(self.lab.build(runs[0].name)["status"]["completionTime"])
        return {
            "builds.many.first": min(run.started for run in runs) - end,
            "builds.many.last": max(run.started for run in runs) - end,
            "builds.many.last.pod": max(run.created + self.lab.pod_seconds(run) for run in runs) - end,
        }

    def _run(self, component: str) -> list[Started]:
        with ThreadPoolExecutor(self.count) as starters:
            created = list(starters.map(lambda _: self.lab.create(component), range(self.count)))
        runs = [self.lab.started(*item) for item in created]
        self.lab.finish(*(run.name for run in runs))
        return runs
