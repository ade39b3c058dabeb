"""The benchmark `throughput.runs`."""

from __future__ import annotations

import asyncio
import base64
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from benchmarks.throughput import costs, fakes
from benchmarks.throughput.client import Api
from benchmarks.throughput.load import Batch, all_through, one_at_a_time
from benchmarks.throughput.manifests import JOB, NAMESPACE, POD, RUN, STORAGE
from benchmarks.throughput.operator import Operator
from benchmarks.throughput.others import Others
from benchmarks.throughput.plane import BUCKET, KEYS, Plane
from componentrun.api.common import API_VERSION
from componentrun.process.resources import PODS, RUNS, SECRETS, STORAGES

_ROOT: Final = Path(__file__).resolve().parents[2]

async def prepare(api: Api, plane: Plane, **storage: Any) -> None:
    for file in sorted((_ROOT / "crds").glob("*.yaml")):
        await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(file.read_text()))
    for n in range(20):
        await api.create("/api/v1/nodes", fakes.node(n))
    await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for _ in range(100):
        try:
            await api.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default")
            break
        except RuntimeError:
            await asyncio.sleep(0.2)
    data = {k: base64.b64encode(v.encode()).decode() for k, v in zip(("accessKeyId", "secretAccessKey"), KEYS)}
    await api.create(SECRETS.path(NAMESPACE), {"metadata": {"name": "keys"}, "data": data})
    for _ in range(100):
        try:
            await api.create(STORAGES.path(NAMESPACE), {"apiVersion": API_VERSION, "kind": "Storage", "metadata": {"name": STORAGE},
                "spec": {"endpoint": plane.store_endpoint, "bucket": BUCKET, "credentials": {"secretName": "keys"}, "default": True, **storage}})
            break
        except RuntimeError as e:
            print(e)
            await asyncio.sleep(0.5)

def tell(name: str, b: Batch) -> None:
    print(f"{name}: {b.count} in {b.seconds:.1f} s, {b.per_minute:.0f}/min; writes {b.cost.writes/b.count:.2f}, own {b.cost.own_writes/b.count:.2f}, reads {b.cost.own_reads/b.count:.2f}; CPU ms "
      + ", ".join(f"{k} {b.cpu_ms(k):.1f}" for k in b.cost.cpu), flush=True)

async def trial(what: str, n: int) -> None:
    with Plane() as plane:
        async with Api(plane.kubeconfig) as api:
            await prepare(api, plane)
            others = Others(api, plane.store_endpoint)
            await others.bring_input()
            for w in what.split(","):
                if w == "pod":
                    tell("pods", await all_through(api, plane, POD, n))
                    await api.delete(POD.path + "?labelSelector=benchmark")
                    await api.empty(POD.path, "benchmark")
                elif w == "job":
                    tell("jobs", await all_through(api, plane, JOB, n))
                    await api.delete(JOB.path)
                    await api.empty(POD.path, "")
                elif w == "run":
                    with Operator(plane) as operator:
                        lat = await one_at_a_time(api, RUN, 10, others)
                        print("latency", [round(1000*x) for x in lat], statistics.median(lat))
                        import os, subprocess
                        if os.environ.get("PYSPY"):
                            subprocess.Popen(["/tmp/prof/bin/py-spy", "record", "-r", "150", "-d", os.environ["PYSPY"], "-f", "raw", "-o", "/tmp/prof/op.raw", "-p", str(operator.pid)], stdout=subprocess.DEVNULL)
                        if os.environ.get("PPROF"):
                            async def pp():
                                data = await api._request("GET", "/debug/pprof/profile?seconds="+os.environ["PPROF"])
                                open("/tmp/prof/api.pb.gz","wb").write(data)
                            asyncio.create_task(pp())
                        tell("runs", await all_through(api, plane, RUN, n, operator=operator, others=others))
                        await asyncio.sleep(3)
                        print("rss", costs.resident_mib(operator.pid), costs.peak_mib(operator.pid))
                        print((await api.get(RUNS.path(NAMESPACE)+"?limit=1"))["items"][0]["status"])
                    with Operator(plane) as operator:
                        print("start", operator.seconds_to_ready, costs.resident_mib(operator.pid))
                elif w == "hold":
                    print(plane.kubeconfig)
                    input()

if __name__ == "__main__":
    asyncio.run(trial(sys.argv[1], int(sys.argv[2])))
