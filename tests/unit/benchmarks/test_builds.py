"""The benchmarks of builds: their wheels, package index, Dockerfile and reports."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import urllib.request
import zipfile
from typing import TYPE_CHECKING

import pytest

from benchmarks.builds.buildah import dockerfile
from benchmarks.builds.lab import build_seconds, step_seconds
from benchmarks.builds.repository import files_of
from benchmarks.builds.servers import StartReports, index_of, package_index
from benchmarks.builds.wheels import PACKAGES, make_wheels
from benchmarks.registry import chosen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_wheels(tmp_path_factory.mktemp("wheels"))


def test_there_are_ten_packages_with_their_versions(wheels: dict[str, Path]) -> None:
    assert [item.partition("==")[0].lower().replace("_", "-") for item in wheels] == list(PACKAGES)
    assert len(PACKAGES) == 10


def test_a_wheel_has_the_code_and_nothing_of_its_installation(wheels: dict[str, Path]) -> None:
    (wheel,) = (path for name, path in wheels.items() if name.startswith("idna"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        record = next(name for name in names if name.endswith(".dist-info/RECORD"))
        listed = [line.partition(",")[0] for line in archive.read(record).decode().splitlines()]
    assert "idna/core.py" in names
    assert sorted(listed) == sorted(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(("INSTALLER", "direct_url.json"))]


def test_equal_packages_are_equal_wheels(wheels: dict[str, Path], tmp_path: Path) -> None:
    again = make_wheels(tmp_path)
    assert {name: _digest(path) for name, path in again.items()} == {
        name: _digest(path) for name, path in wheels.items()
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("package", ["rich", "aiohttp"])
def test_a_package_with_others_or_with_machine_code_is_refused(package: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"package {package} .*pure Python that needs no others"):
        make_wheels(tmp_path, [package])


def test_the_index_has_a_page_for_each_package(wheels: dict[str, Path]) -> None:
    pages, files = index_of(list(wheels.values()))
    assert sorted(pages) == [f"/simple/{name}/" for name in sorted(PACKAGES)]
    assert list(files.values()) == list(wheels.values())


def test_a_wheel_is_found_by_its_page(wheels: dict[str, Path]) -> None:
    with package_index("127.0.0.1", list(wheels.values())) as url:
        page = _get(f"{url}certifi/").decode()
        path = page.partition('href="')[2].partition('"')[0]
        assert _get(url.removesuffix("/simple/") + path) == next(
            wheel.read_bytes() for name, wheel in wheels.items() if name.startswith("certifi")
        )


def _get(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        return bytes(answer.read())


def test_the_component_reports_its_start(tmp_path: Path) -> None:
    program = tmp_path / "main.py"
    program.write_text(files_of("a change", [])["main.py"])
    with StartReports("127.0.0.1").receiving() as reports:
        command = [sys.executable, str(program), reports.address, str(reports.port)]
        done = subprocess.run(command, env={"KBC_RUNID": "run-1"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert reports.wait("run-1", 10) > 1_700_000_000
        with pytest.raises(TimeoutError, match="run-2"):
            reports.wait("run-2", 0)


def test_a_report_that_is_cut_off_does_not_stop_the_server() -> None:
    with StartReports("127.0.0.1").receiving() as reports:
        socket.create_connection((reports.address, reports.port)).close()
        with socket.create_connection((reports.address, reports.port)) as connection:
            connection.sendall(b"run-1 12.5\n")
        assert reports.wait("run-1", 10) == 12.5


def test_the_component_imports_the_packages_that_it_requires() -> None:
    assert "typing_extensions" in files_of("", ["idna==1"])["main.py"]
    assert "typing_extensions" not in files_of("", [])["main.py"]
    assert files_of("", ["idna==1", "click==2"])["requirements.txt"] == "idna==1\nclick==2\n"


def test_only_the_line_changes() -> None:
    one, other = (files_of(change, ["idna==1"]) for change in ("one", "other"))
    assert one["requirements.txt"] == other["requirements.txt"]
    assert one["main.py"].replace("one", "other") == other["main.py"]


def test_the_dockerfile_installs_the_packages_before_it_copies_the_code() -> None:
    text = dockerfile("parent@sha256:0", files_of("", ["idna==1"]), {"PIP_INDEX_URL": "http://index/"})
    lines = text.splitlines()
    assert lines[0] == "FROM parent@sha256:0"
    assert lines.index("COPY requirements.txt ./") < next(
        number for number, line in enumerate(lines) if line.startswith("RUN") and "pip install" in line
    )
    assert lines.index("COPY . ./") > next(number for number, line in enumerate(lines) if "pip install" in line)
    assert "ARG PIP_INDEX_URL=http://index/" in lines
    assert lines[-1] == 'ENTRYPOINT ["python3", "-u", "/code/main.py"]'


def test_a_build_lasts_from_its_pod_to_its_end() -> None:
    status = {"startTime": "2026-01-01T00:00:00.500000Z", "completionTime": "2026-01-01T00:00:08Z"}
    assert build_seconds({"status": status}) == 7.5


def test_a_step_lasts_as_long_as_its_container() -> None:
    steps = [
        {"name": "fetch", "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z"},
        {"name": "commands", "startTime": "2026-01-01T00:00:02Z", "completionTime": "2026-01-01T00:00:05Z"},
    ]
    assert step_seconds({"status": {"steps": steps}}, "commands") == 3


def test_the_area_has_three_benchmarks() -> None:
    assert [item.name for item in chosen("builds")] == ["builds.there", "builds.python", "builds.many"]
