package handlers

// What is counted of requests and streams that go beyond a limit, by the part that keeps it.
const (
	RefusedName = "hangarshare_refused_total"
	RefusedHelp = "Requests and streams refused because a limit was reached, by limit."
)

// Limits of this package, as they are counted.
const (
	LimitFailedSignIns = "failed_sign_ins" // of an account, a device or a network: it waits
	LimitSignIns       = "sign_ins"        // more at once than passwords can be checked
	LimitFeedReads     = "feed_reads"
)

// Limits are those, all.
var Limits = []string{LimitFailedSignIns, LimitSignIns, LimitFeedReads}

// RefusedFunc is told of each refusal because of a limit, by its name. nil counts nothing.
type RefusedFunc func(limit string)

func (f RefusedFunc) count(limit string) {
	if f != nil {
		f(limit)
	}
}
