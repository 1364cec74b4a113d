package api

import (
	"errors"
	"sync/atomic"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// Reasons why a credential is refused: the values of the label reason of
// hangarshare_tokens_refused_total.
const (
	reasonMalformed   = "malformed"       // no JWT: opaque, cut, or claims that are no JSON object
	reasonEncrypted   = "encrypted"       // a JWE (RFC 7516)
	reasonTooLarge    = "too_large"       // over maxToken
	reasonAlgorithm   = "algorithm"       // one that does not count here, or whose keys are not set
	reasonKey         = "unknown_key"     // its issuer publishes no such key
	reasonSignature   = "signature"       // not of the secret, or not of the key that it names
	reasonPurpose     = "purpose"         // made for something else than access by a person
	reasonEnded       = "expired"         //
	reasonEarly       = "not_yet_valid"   // nbf or iat lies ahead
	reasonTimes       = "times"           // exp is missing, or a time is no number of seconds
	reasonIssuer      = "issuer"          // not one of JWT_ISSUER
	reasonAudience    = "audience"        // not for one of JWT_AUDIENCE
	reasonRequired    = "required_claim"  // one of JWT_REQUIRED_CLAIMS does not hold
	reasonNoUser      = "no_user_claim"   // none of JWT_USER_CLAIM is there
	reasonUser        = "unusable_user"   // the claim that counts is no id
	reasonUnknownUser = "unknown_user"    // nobody has its value in JWT_USER_COLUMN
	reasonAmbiguous   = "two_credentials" // two headers Authorization
	reasonTicket      = "ticket"          // used, or too old
	reasonHook        = "hook"            // AUTH_HOOK_URL knows nobody by it
	// at this moment: an issuer, the hook or the database is away
	reasonLater = "not_checkable"
)

// reasons are all of them.
var reasons = []string{
	reasonMalformed, reasonEncrypted, reasonTooLarge, reasonAlgorithm, reasonKey, reasonSignature, reasonPurpose, reasonEnded,
	reasonEarly, reasonTimes, reasonIssuer, reasonAudience, reasonRequired, reasonNoUser, reasonUser, reasonUnknownUser,
	reasonAmbiguous, reasonTicket, reasonHook, reasonLater,
}

// CredentialError is why a credential does not count. Its sender learns what the wrapped error
// says, and no more: an attacker learns nothing. The rest is for the operator.
type CredentialError struct {
	Reason string // one of reasons
	Hint   string // what to look at; it holds nothing of the credential
	err    error
}

// Error implements error with the sentence for the credential's sender.
func (r *CredentialError) Error() string { return r.err.Error() }

// Unwrap returns the error for the credential's sender.
func (r *CredentialError) Unwrap() error { return r.err }

// invalidToken refuses a token that does not count here, whenever it is sent.
func invalidToken(reason, hint string) *CredentialError {
	return &CredentialError{reason, hint, errTokenInvalid}
}

// reasonOf returns the reason and the hint in an error.
func reasonOf(err error) (reason, hint string) {
	var refused *CredentialError
	if errors.As(err, &refused) {
		return refused.Reason, refused.Hint
	}
	return reasonLater, ""
}

// refusals counts credentials by the reason of their refusal.
type refusals map[string]*atomic.Int64

func newRefusals() refusals {
	counts := make(refusals, len(reasons))
	for _, reason := range reasons {
		counts[reason] = new(atomic.Int64)
	}
	return counts
}

// Collect implements stats.Collector.
func (t *Tokens) Collect() (list []stats.Stat) {
	for reason, count := range t.refused {
		list = append(list, stats.Counter("hangarshare_tokens_refused_total",
			"Tokens and other credentials that did not count, by reason.", count.Load()).With("reason", reason))
	}
	return append(list, t.failures.collect("hangarshare_auth_failures_total",
		"Credentials that did not count, by the way in which they came.", "way")...)
}
