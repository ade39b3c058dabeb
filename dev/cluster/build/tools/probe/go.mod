module componentrun.dev/dev/cluster/build/tools/probe

go 1.26.0
