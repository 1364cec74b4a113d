package handlers

// What is counted of requests and streams that go beyond a limit, by the part that keeps it.
const (
	RefusedName = "hangarshare_refused_total"
	RefusedHelp = "Requests and streams refused because a limit was reached, by limit."
)
