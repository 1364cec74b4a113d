package api

import "slices"

// Policy is what a Server lets in and whom it believes, as far as that may change while it serves.
type Policy struct {
	// AllowedOrigins are pages besides our own that may connect.
	AllowedOrigins []string
	TrustedProxies Networks
	// LimitExempt are addresses that no limit per user or address counts.
	LimitExempt Networks
}

// Replace has the server go by another policy, from the next request on. Open streams stay.
func (s *Server) Replace(p Policy) { s.replaced.Store(&p) }

// policy returns what counts now.
func (s *Server) policy() Policy {
	if p := s.replaced.Load(); p != nil {
		return *p
	}
	return Policy{s.AllowedOrigins, s.TrustedProxies, s.LimitExempt}
}

// allows reports whether pages of an origin may connect.
func (p Policy) allows(page string) bool {
	page = origin(page)
	return page != "" && slices.ContainsFunc(p.AllowedOrigins, func(one string) bool { return origin(one) == page })
}

// Set replaces the limits, from the next request on: what is open stays, also beyond them. Where a
// rate changes, everybody's minute begins anew.
func (l *Limiter) Set(limits Limits) {
	before := l.limits.Swap(&limits)
	if before.RequestsPerMinutePerUser != limits.RequestsPerMinutePerUser {
		l.userRates.Store(newRateLimits(limits.RequestsPerMinutePerUser))
	}
	if before.RequestsPerMinutePerAddress != limits.RequestsPerMinutePerAddress {
		l.addressRates.Store(newRateLimits(limits.RequestsPerMinutePerAddress))
	}
}
