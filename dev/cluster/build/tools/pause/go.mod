module componentrun.dev/dev/cluster/build/tools/pause

go 1.26.0
