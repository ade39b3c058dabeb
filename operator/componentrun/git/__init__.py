"""Reads git repositories over https and ssh, with dulwich instead of git (decision 0114).

Modules, lowest first:

    settings   timeouts, limits and trusted authorities
    failures   what dulwich, urllib3 and ssh report, as errors of builds
    budget     limits what a host may send
    ssh        runs the ssh client with one key and known hosts
    transport  the client for a URL
    refs       which commit a branch or tag means now
    checkout   writes the files of a commit into a folder
    fetch      downloads one commit without its history
"""
