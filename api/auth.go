package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/jwtauth/v5"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// clockSkew is how far another machine's clock may be off when it signs a token.
	clockSkew = 60 * time.Second
	// undatedLifetime is for how long a token is taken to have been valid that does not say when it was issued.
	undatedLifetime = 24 * time.Hour
	// ourselves is who issues the tokens of our sessions, and sessionClaim the claim that names the session.
	ourselves    = "hangarshare-realtime"
	sessionClaim = "sid"
	// maxToken is the most bytes of a token that is looked at: more than a request's head has room for.
	maxToken = 8 << 10
	// knownTokens is how many tokens with a good signature are remembered, by their SHA-256: at about 1 KiB each, 4 MB.
	knownTokens = 4096
	// maxWhole is the largest number up to which a float holds every whole one (RFC 8259, section 6).
	maxWhole = 1<<53 - 1
	// lastInstant is the first second after the year 9999: a token that lasts longer counts in other units.
	lastInstant = 253402300800
)

// Errors of a token, in words for whoever sent it. They do not say more than that: an attacker learns nothing.
var (
	errTokenEnded   = errors.New("the token has ended: sign in again")
	errTokenInvalid = errors.New("the token is not valid here: sign in again")
	errNoSecret     = errors.New("JWT_SECRET is not set: this server cannot sign tokens")
)

// Tokens signs access tokens with HMAC SHA-256 under the server's secret, and verifies those that it, the portal, or a
// foreign issuer has signed: JWT (RFC 7519) in the compact form of JWS (RFC 7515). The algorithm that a token names decides
// whose key it needs, so that no key is ever used as one of another kind (RFC 8725, section 3.1).
//
// That a signature under the secret is good is remembered: those who call again and again send the same token. When a token
// begins and ends is looked at each time.
type Tokens struct {
	auth   *jwtauth.JWTAuth
	secret []byte
	issuer *Issuer
	known  *lru.Cache[[sha256.Size]byte, claims]
}

// claims is what a token says (RFC 7519, section 4), which is not changed.
type claims map[string]json.RawMessage

// NewTokens returns Tokens under a secret of at least 32 bytes; without a secret nothing is signed, and no HS256 token is
// valid.
func NewTokens(secret []byte) *Tokens {
	known, err := lru.New[[sha256.Size]byte, claims](knownTokens)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Tokens{secret: secret, known: known, auth: jwtauth.New(jwa.HS256.String(), secret, nil,
		jwt.WithAcceptableSkew(clockSkew), jwt.WithRequiredClaim(jwt.ExpirationKey))}
}

// Trust makes the tokens of a foreign issuer count. It must be called before the first Verify.
func (t *Tokens) Trust(issuer *Issuer) { t.issuer = issuer }

// Sign returns an access token for a user that ends after a while, and when that is. sessionID is the session that the token
// belongs to, "" for none.
func (t *Tokens) Sign(userID, sessionID string, lifetime time.Duration) (token string, expires time.Time, err error) {
	if !t.signs() {
		return "", time.Time{}, errNoSecret
	}
	now := time.Now()
	expires = now.Add(lifetime).Truncate(time.Second)
	says := map[string]any{jwt.SubjectKey: userID, jwt.IssuedAtKey: now.Unix(), jwt.ExpirationKey: expires.Unix()}
	if sessionID != "" {
		says[jwt.IssuerKey], says[sessionClaim] = ourselves, sessionID
	}
	if _, token, err = t.auth.Encode(says); err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, expires, nil
}

// signs reports whether there is a secret to sign with.
func (t *Tokens) signs() bool { return len(t.secret) > 0 }

// Verify implements handlers.Authority. The user is the claim sub, else userId, else id.
func (t *Tokens) Verify(ctx context.Context, token string) (handlers.Viewer, error) {
	claims, err := t.read(ctx, token)
	if err != nil {
		return handlers.Viewer{}, err
	}
	issued, expires, err := t.times(claims)
	if err != nil {
		return handlers.Viewer{}, err
	}
	var user string
	for _, name := range []string{jwt.SubjectKey, "userId", "id"} {
		if user = idOf(claims[name]); user != "" {
			break
		}
	}
	if user == "" {
		return handlers.Viewer{}, errTokenInvalid
	}
	viewer := handlers.Viewer{UserID: user, OwnerID: idOf(claims["ownerId"]), Expires: expires, Issued: issued}
	if idOf(claims[jwt.IssuerKey]) == ourselves { // another issuer's sessions are not ours
		viewer.SessionID = idOf(claims[sessionClaim])
	}
	return viewer, nil
}

// read returns what a token says, if its signature is good.
func (t *Tokens) read(ctx context.Context, token string) (claims, error) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return nil, errTokenInvalid
	}
	text := []byte(token)
	sum := sha256.Sum256(text)
	if known, ok := t.known.Get(sum); ok {
		return known, nil
	}
	message, err := jws.Parse(text, jws.WithCompact())
	if err != nil || len(message.Signatures()) != 1 {
		return nil, errTokenInvalid
	}
	header := message.Signatures()[0].ProtectedHeaders()
	if len(header.Critical()) > 0 { // whatever it is, we do not know it (RFC 7515, section 4.1.11)
		return nil, errTokenInvalid
	}
	var payload []byte
	algorithm := header.Algorithm()
	switch {
	case algorithm == jwa.HS256 && t.signs():
		if payload, err = jws.Verify(text, jws.WithCompact(), jws.WithKey(jwa.HS256, t.secret)); err != nil {
			return nil, errTokenInvalid
		}
	case t.issuer != nil && (algorithm == jwa.RS256 || algorithm == jwa.ES256 || algorithm == jwa.EdDSA):
		if payload, err = t.issuer.verify(ctx, text, header.KeyID(), algorithm); err != nil {
			return nil, err
		}
	default:
		return nil, errTokenInvalid
	}
	var said claims
	if json.Unmarshal(payload, &said) != nil {
		return nil, errTokenInvalid
	}
	if algorithm == jwa.HS256 { // an issuer's keys come and go
		t.known.Add(sum, said)
	}
	return said, nil
}

// times checks when a token is valid and returns when it was issued, a day before its end if it does not say, and when it ends.
func (t *Tokens) times(claims claims) (issued, expires time.Time, err error) {
	token := jwt.New()
	for _, name := range []string{jwt.ExpirationKey, jwt.NotBeforeKey, jwt.IssuedAtKey} {
		text, given := claims[name]
		if !given {
			continue
		}
		seconds, err := strconv.ParseFloat(string(text), 64)
		if err != nil || seconds < 0 || seconds >= lastInstant {
			return issued, expires, errTokenInvalid
		}
		if err := token.Set(name, time.UnixMilli(int64(seconds*1000))); err != nil {
			return issued, expires, errTokenInvalid
		}
	}
	switch err := jwt.Validate(token, t.auth.ValidateOptions()...); {
	case errors.Is(err, jwt.ErrTokenExpired()):
		return issued, expires, errTokenEnded
	case err != nil, token.IssuedAt().After(token.Expiration()):
		return issued, expires, errTokenInvalid
	}
	if issued = token.IssuedAt(); issued.IsZero() {
		issued = token.Expiration().Add(-undatedLifetime)
	}
	return issued, token.Expiration(), nil
}

// idOf reads an id that a token carries as a text or a whole number, of which every digit counts; "" is none.
func idOf(claim json.RawMessage) string {
	var text string
	if json.Unmarshal(claim, &text) == nil {
		return text
	}
	digits := string(claim)
	if !strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return digits
	}
	number, err := strconv.ParseFloat(digits, 64) // some signers write 1000000 as 1e+06
	if err != nil || number != math.Trunc(number) || number < 0 || number > maxWhole {
		return ""
	}
	return strconv.FormatFloat(number, 'f', -1, 64)
}
