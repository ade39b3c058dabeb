# Flights and cancellations of each airport of origin. Called by main.sh with the table's name in `name`.
BEGIN { FS = ","; OFS = "," }
{ sub(/\r$/, "") }
# Splitting at commas is right only where no field is quoted; anything else would be counted wrong without a word.
/"/ { stop("line " NR " of " name " has a quoted field; this component reads tables without quotes only") }
NR == 1 {
    for (i = 1; i <= NF; i++) column[$i] = i
    if (!("origin" in column)) stop("there is no column `origin` in " name)
    if (!("dep_time" in column)) stop("there is no column `dep_time` in " name)
    width = NF
    next
}
NF != width { stop("line " NR " of " name " has " NF " fields, the header has " width) }
{
    flights[$column["origin"]]++
    if ($column["dep_time"] == "NA" || $column["dep_time"] == "") cancelled[$column["origin"]]++
}
function stop(message) {
    print message > "/dev/stderr"
    failed = 1
    exit 1
}
END {
    if (failed) exit 1
    print "origin", "flights", "cancelled"
    fflush() # before sort writes
    for (origin in flights) print origin, flights[origin], cancelled[origin] + 0 | "sort"
}
