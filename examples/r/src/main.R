# Do flights leave later when it rains? Mean departure delay by month, in dry and in wet hours, in base R.

data <- Sys.getenv("KBC_DATADIR", "/data/")

user_error <- function(...) {
  message(...)
  quit(status = 1)
}

# Reads only the columns that are asked for; dates stay text, and only NA means "not available".
read_columns <- function(file, columns) {
  path <- file.path(data, "in", "tables", file)
  if (!file.exists(path)) {
    user_error("Input table ", file, " is missing; add it to the input mapping.")
  }
  header <- names(read.csv(path, nrows = 1, check.names = FALSE))
  absent <- setdiff(names(columns), header)
  if (length(absent) > 0) {
    user_error(file, " has no column ", paste(absent, collapse = ", "), ".")
  }
  classes <- rep("NULL", length(header))
  classes[match(names(columns), header)] <- columns
  read.csv(path, colClasses = classes, na.strings = c("NA", ""), check.names = FALSE)
}

flights <- read_columns("flights.csv", c(
  month = "integer", dep_delay = "numeric", origin = "character", time_hour = "character"
))
weather <- read_columns("weather.csv", c(origin = "character", precip = "numeric", time_hour = "character"))
cat(nrow(flights), "flights,", nrow(weather), "hours of weather\n")

# One hour of an airport has one row of weather; flights of hours without any are left out, as are cancelled ones.
hour <- function(table) paste(table$origin, table$time_hour)
if (anyDuplicated(hour(weather))) {
  user_error("weather.csv has more than one row for an hour of an airport.")
}
flights$precip <- weather$precip[match(hour(flights), hour(weather))]
known <- flights[!is.na(flights$dep_delay) & !is.na(flights$precip), ]
known$sky <- ifelse(known$precip > 0, "wet", "dry")
cat(nrow(known), "flights left, and the weather of their hour is known\n")

count <- tapply(known$dep_delay, list(known$month, known$sky), length)
delay <- tapply(known$dep_delay, list(known$month, known$sky), mean)
# A month without wet (or dry) hours has an empty cell.
cell <- function(matrix, sky, write) {
  if (!sky %in% colnames(matrix)) return(rep("", nrow(matrix)))
  ifelse(is.na(matrix[, sky]), "", write(matrix[, sky]))
}
decimal <- function(numbers) sprintf("%.2f", numbers)
result <- data.frame(
  month = as.integer(rownames(delay)),
  dry_flights = cell(count, "dry", as.character),
  dry_mean_delay = cell(delay, "dry", decimal),
  wet_flights = cell(count, "wet", as.character),
  wet_mean_delay = cell(delay, "wet", decimal)
)
output <- file.path(data, "out", "tables", "rain.csv")
write.csv(result, output, row.names = FALSE, quote = FALSE)
cat('{"primary_key": ["month"]}', file = paste0(output, ".manifest"))
cat("wrote", nrow(result), "months\n")
