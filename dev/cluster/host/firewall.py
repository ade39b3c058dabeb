"""Remove only our own rules from iptables, ipset and nftables."""

import json
import re
import shutil
from collections.abc import Sequence

from dev.cluster import commands, layout

CHAINS = ("KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-", "KUBE-KUBELET-CANARY", "KUBE-PROXY-CANARY", "KUBE-FIREWALL")
COMMENTS = (
    "kube-router netpol",
    f'name: \\"{layout.NETWORK}\\"',
)
"""Marks of our rules in chains of the system."""
SETS = re.compile(r"(inet6:)?(KUBE-SRC-|KUBE-DST-|kube-router-)")
PROXY_TABLES = ("table ip kube-proxy", "table ip6 kube-proxy")


def removal(dump: str) -> str:
    """Input for `iptables-restore --noflush` that removes our rules, given the output of `iptables-save`."""
    blocks = [_block_removal(block) for block in re.findall(r"^\*.*?^COMMIT$", dump, flags=re.DOTALL | re.MULTILINE)]
    return "".join(blocks)


def _block_removal(block: str) -> str:
    lines = block.splitlines()
    rules = [line for line in lines if line.startswith("-A ")]
    chains = [line[1:].split()[0] for line in lines if line.startswith(":")]
    pod_chains = {_target(rule) for rule in rules if COMMENTS[1] in rule and _target(rule).startswith("CNI-")}
    own_chains = [chain for chain in chains if chain.startswith(CHAINS) or chain in pod_chains]
    foreign_rules = [rule for rule in rules if rule.split()[1] not in own_chains and _is_ours(rule, own_chains)]
    if not own_chains and not foreign_rules:
        return ""
    deletions = [rule.replace("-A ", "-D ", 1) for rule in foreign_rules]
    flushes = [f"-F {chain}" for chain in own_chains]
    removals = [f"-X {chain}" for chain in own_chains]
    return "\n".join([lines[0], *deletions, *flushes, *removals, "COMMIT"]) + "\n"


def _is_ours(rule: str, chains: Sequence[str]) -> bool:
    return _target(rule) in chains or any(comment in rule for comment in COMMENTS)


def _target(rule: str) -> str:
    words = rule.split()
    for flag in ("-j", "-g"):
        if flag in words:
            return words[words.index(flag) + 1]
    return ""


def clean(tables_before: Sequence[str]) -> None:
    """Remove all rules that kube-router, kube-proxy and the bridge plugin added."""
    for family in ("iptables", "ip6tables"):
        if shutil.which(family):
            script = removal(commands.run([f"{family}-save"]))
            if script:
                commands.run([f"{family}-restore", "--noflush"], stdin=script)
    if shutil.which("ipset"):
        names = [name for name in commands.run(["ipset", "list", "-name"]).splitlines() if SETS.match(name)]
        # Sets may contain other sets, so all are emptied before any is destroyed.
        for verb in ("flush", "destroy"):
            for name in names:
                commands.run(["ipset", verb, name])
    for table in commands.run(["nft", "list", "tables"]).splitlines():
        if table not in tables_before and (table in PROXY_TABLES or _is_empty(table)):
            commands.run(["nft", "delete", *table.split()])


def forget_services() -> None:
    """Remove kube-proxy's rules. It adds them again when it starts."""
    for table in commands.run(["nft", "list", "tables"]).splitlines():
        if table in PROXY_TABLES:
            commands.run(["nft", "delete", *table.split()])


def _is_empty(table: str) -> bool:
    """Whether an nftables table has no rules. iptables leaves empty tables behind."""
    listing = json.loads(commands.run(["nft", "--json", "list", *table.split()]))
    return not any("rule" in entry for entry in listing["nftables"])
