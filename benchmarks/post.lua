-- For wrk: posts a body from a file, and prints the figures as one line of JSON.
wrk.method = "POST"
local file = assert(io.open(os.getenv("BENCHMARK_BODY"), "rb"))
wrk.body = file:read("*a")
file:close()
for name, value in os.getenv("BENCHMARK_HEADERS"):gmatch("([^\n:]+): ([^\n]+)") do
  wrk.headers[name] = value
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests_per_s": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}',
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
