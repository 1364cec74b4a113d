package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	// clockSkew is how far another machine's clock may be ahead when it signs a token. For how long
	// one counts after its end says handlers.TokenLeeway.
	clockSkew = 60 * time.Second
	// ourselves is who issues the tokens that we sign, and sessionClaim the claim that
	// names the session.
	ourselves    = "hangarshare-realtime"
	sessionClaim = "sid"
	// maxToken is the most bytes of a token that is looked at, in every way in: one with an
	// employee's 200 groups has 11 KiB.
	maxToken = 16 << 10
	// verifiedTokens is how many tokens with a good signature are remembered, by their SHA-256, and
	// maxVerified the most bytes of one: at about 1 KiB each, 4 MB, and 16 MB at most.
	verifiedTokens = 4096
	maxVerified    = 4 << 10
)

// Errors of a token, in words for its sender. They do not say more than that: an
// attacker learns nothing.
var (
	errTokenEnded   = handlers.Unauthorized("the token has ended: sign in again")
	errTokenInvalid = handlers.Unauthorized("the token is not valid here: sign in again")
	errNoSecret     = errors.New("JWT_SECRET is not set: this server cannot sign tokens")
)

// Rules are what is asked of every token that this server did not sign itself.
type Rules struct {
	// UserClaims are claims of which the first that is present names the user: exact
	// names, or JSON Pointers.
	UserClaims []string
	Required   []RequiredClaim
	// Issuers and Audiences are asked of tokens of public keys only, and not where there
	// are none: one of them must fit.
	Issuers, Audiences []string
	// Users turns what a token says of its user into the user's id; nil where it is the id.
	Users *Users
}

// DefaultUserClaims are the claims that name the user where no setting does.
var DefaultUserClaims = []string{jwt.SubjectKey, "userId", "id"}

// Tokens signs access tokens with HMAC SHA-256 under the server's secret, and verifies those that
// it, the portal, or a foreign issuer has signed: JWT (RFC 7519) in the compact form of JWS (RFC
// 7515). The algorithm that a token names decides whose key it needs, so that no key is ever used
// as one of another kind (RFC 8725, section 3.1).
//
// That a signature under the secret is good is remembered: those who call again and again send the
// same token. When a token begins and ends is looked at each time.
type Tokens struct {
	auth     *jwtauth.JWTAuth
	secret   []byte
	issuer   *Issuer
	rules    Rules
	hook     *Hook
	log      *slog.Logger
	verified *lru.Cache[[sha256.Size]byte, verified]
	refused  refusals
	failures labelled // by the way in which a credential came
}

// NewTokens returns Tokens under a secret of at least 32 bytes; without a secret nothing is signed,
// and no HS256 token is valid.
func NewTokens(secret []byte) *Tokens {
	known, err := lru.New[[sha256.Size]byte, verified](verifiedTokens)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Tokens{
		secret: secret, verified: known, rules: Rules{UserClaims: DefaultUserClaims}, refused: newRefusals(), failures: newLabelled(ways), log: slog.New(slog.DiscardHandler),
		auth: jwtauth.New(jwa.HS256.String(), secret, nil, jwt.WithAcceptableSkew(clockSkew), jwt.WithRequiredClaim(jwt.ExpirationKey)),
	}
}

// Trust makes the tokens of a foreign issuer count. It must be called before the first
// Verify, as the next three.
func (t *Tokens) Trust(issuer *Issuer) { t.issuer = issuer }

// Issuer returns the foreign issuer whose tokens count; nil is none.
func (t *Tokens) Issuer() *Issuer { return t.issuer }

// Ask makes a hook be asked where a credential is no JWT.
func (t *Tokens) Ask(hook *Hook) { t.hook = hook }

// Apply sets the rules.
func (t *Tokens) Apply(rules Rules) { t.rules = rules }

// LogTo has refusals told in a log, at the level debug, without anything of the token.
func (t *Tokens) LogTo(log *slog.Logger) { t.log = log }

// Sign returns an access token for a user that ends after a while, and when that is. sessionID is
// the session that the token belongs to, "" for none.
func (t *Tokens) Sign(userID, sessionID string, lifetime time.Duration) (token string, expires time.Time, err error) {
	if !t.signs() {
		return "", time.Time{}, errNoSecret
	}
	now := time.Now()
	expires = now.Add(lifetime).Truncate(time.Second)
	says := map[string]any{
		jwt.IssuerKey: ourselves, jwt.SubjectKey: userID, jwt.IssuedAtKey: now.Unix(), jwt.ExpirationKey: expires.Unix(),
	}
	if sessionID != "" {
		says[sessionClaim] = sessionID
	}
	if _, token, err = t.auth.Encode(says); err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, expires, nil
}

// signs reports whether there is a secret to sign with.
func (t *Tokens) signs() bool { return len(t.secret) > 0 }

// Verify implements handlers.Authority: it tells whom a token stands for, also one that
// only the hook knows.
func (t *Tokens) Verify(ctx context.Context, token string) (handlers.Viewer, error) {
	viewer, err := t.verify(ctx, token)
	if err != nil {
		t.refuse(ctx, err, wayMessage)
	}
	return viewer, err
}

// refuse counts and tells a refusal.
func (t *Tokens) refuse(ctx context.Context, err error, way string) {
	if ctx.Err() != nil {
		return // nobody waits for it any more
	}
	reason, hint := reasonOf(err)
	t.refused[reason].Add(1)
	t.failures.add(way)
	t.log.DebugContext(ctx, "credential refused", "reason", reason, "hint", hint)
}

// verify is Verify without counting.
func (t *Tokens) verify(ctx context.Context, token string) (handlers.Viewer, error) {
	if t.hook != nil && len(token) <= maxToken && !isSigned(token) {
		return t.hook.viewer(ctx, credentials{authorization: "Bearer " + token})
	}
	examined, err := t.examine(ctx, token)
	return examined.viewer, err
}

// examined is how far the examination of a token came.
type examined struct {
	unverified
	claims claims
	signer signer
	// claim is the name of the claim that counts for the user, and value what it says.
	claim, value string
	viewer       handlers.Viewer
}

// signer is whose signature of a token is good.
type signer int

const (
	signerNone   signer = iota
	signerSelf          // we ourselves
	signerPortal        // who else has JWT_SECRET
	signerIssuer        // who has a private key to one at JWKS_URL or in JWKS_FILE
)

// verified is what a token says whose signature is good, and whose that is.
type verified struct {
	claims claims
	signer signer
}

// examine checks everything about a token: its signature first.
func (t *Tokens) examine(ctx context.Context, token string) (e examined, err error) {
	if e.unverified, e.claims, e.signer, err = t.read(ctx, token); err != nil {
		return e, err
	}
	issued, expires, err := e.claims.times(t.auth.ValidateOptions())
	if err != nil {
		return e, err
	}
	names := t.rules.UserClaims
	if e.signer == signerSelf {
		names = []string{jwt.SubjectKey}
	}
	if e.claim, e.value, err = e.claims.user(names); err != nil {
		return e, err
	}
	if e.signer != signerSelf {
		if err := t.rules.check(e); err != nil {
			return e, err
		}
	}
	viewer := handlers.Viewer{UserID: e.value, OwnerID: idOf(e.claims["ownerId"]), Expires: expires, Issued: issued}
	if _, dated := e.claims[jwt.IssuedAtKey]; dated {
		viewer.Lifetime = expires.Sub(issued)
	}
	if e.signer == signerSelf { // another issuer's sessions are not ours
		viewer.SessionID = idOf(e.claims[sessionClaim])
	}
	if t.rules.Users != nil {
		if viewer.UserID, err = t.rules.Users.find(ctx, e.signer, e.value); err != nil {
			return e, err
		}
	}
	e.viewer = viewer
	return e, nil
}

// check asks a token for what the operator wants.
func (r Rules) check(e examined) error {
	if err := e.claims.checkPurpose(e.value); err != nil {
		return err
	}
	if e.signer == signerIssuer {
		if len(r.Issuers) > 0 && !anyOf(e.claims.texts(jwt.IssuerKey), r.Issuers) {
			return invalidToken(reasonIssuer, "its iss is not JWT_ISSUER: they must be the same to the letter, a slash at the end included")
		}
		if len(r.Audiences) > 0 && !anyOf(e.claims.texts(jwt.AudienceKey), r.Audiences) {
			return invalidToken(reasonAudience, "its aud is not JWT_AUDIENCE: it was made for another service")
		}
	}
	return e.claims.checkRequired(r.Required)
}

// anyOf reports whether two lists have a text in common.
func anyOf(said, wanted []string) bool {
	for _, one := range said {
		for _, other := range wanted {
			if one == other {
				return true
			}
		}
	}
	return false
}

// read returns what a token says, if its signature is good, and whose that is.
func (t *Tokens) read(ctx context.Context, token string) (says unverified, said claims, by signer, err error) {
	if len(token) > maxToken {
		return says, nil, signerNone, invalidToken(reasonTooLarge, "a token may have 16384 bytes")
	}
	text := []byte(token)
	sum := sha256.Sum256(text)
	if known, ok := t.verified.Get(sum); ok {
		return unverified{algorithm: jwa.HS256}, known.claims, known.signer, nil
	}
	message, err := jws.Parse(text, jws.WithCompact())
	if err != nil || len(message.Signatures()) != 1 || strings.Count(token, ".") != 2 {
		return says, nil, signerNone, unreadable(token)
	}
	header := message.Signatures()[0].ProtectedHeaders()
	if json.Unmarshal(message.Payload(), &said) != nil {
		return says, nil, signerNone, invalidToken(reasonMalformed, "its claims are no JSON object")
	}
	says = unverified{algorithm: header.Algorithm(), keyID: header.KeyID()}
	says.issued, _ = instant(said[jwt.IssuedAtKey])
	if len(header.Critical()) > 0 { // whatever it is, we do not know it (RFC 7515, section 4.1.11)
		return says, nil, signerNone, invalidToken(reasonAlgorithm, "its header says by crit that it needs what is unknown here")
	}
	if err := checkType(header.Type()); err != nil {
		return says, nil, signerNone, err
	}
	switch {
	case says.algorithm == jwa.HS256 && t.signs():
		if _, err = jws.Verify(text, jws.WithCompact(), jws.WithKey(jwa.HS256, t.secret)); err != nil {
			return says, nil, signerNone, invalidToken(reasonSignature, "JWT_SECRET is not what it was signed with")
		}
		by = signerOf(said)
		if len(token) <= maxVerified {
			t.verified.Add(sum, verified{said, by})
		}
		return says, said, by, nil
	case t.issuer != nil && byPublicKey(says.algorithm):
		// an issuer's keys come and go: nothing is remembered
		if _, err = t.issuer.verify(ctx, text, says); err != nil {
			return says, nil, signerNone, err
		}
		return says, said, signerIssuer, nil
	case says.algorithm == jwa.HS256:
		return says, nil, signerNone, invalidToken(reasonAlgorithm, "it is signed with HS256, and JWT_SECRET is not set")
	case byPublicKey(says.algorithm):
		return says, nil, signerNone, invalidToken(reasonAlgorithm, "it is signed with a private key, and neither JWKS_URL nor JWKS_FILE is set")
	default:
		return says, nil, signerNone, unknownAlgorithm()
	}
}

// signerOf returns who has signed a token with the secret.
func signerOf(said claims) signer {
	if idOf(said[jwt.IssuerKey]) == ourselves {
		return signerSelf
	}
	return signerPortal
}

// unreadable says why a text is no signed token.
func unreadable(token string) error {
	header, readable := headerOf(token)
	var algorithm jwa.SignatureAlgorithm
	switch parts := strings.Count(token, ".") + 1; {
	case readable && parts == 5:
		return invalidToken(reasonEncrypted, "it is encrypted (JWE), and only its issuer can read it")
	case readable && parts == 3 && algorithm.Accept(idOf(header["alg"])) != nil:
		return unknownAlgorithm()
	default:
		return invalidToken(reasonMalformed, "it is no JWT: an opaque token, or one that was cut")
	}
}

// unknownAlgorithm refuses a token that is signed by a method which never counts here.
func unknownAlgorithm() *CredentialError {
	return invalidToken(reasonAlgorithm, "its alg is neither HS256 nor "+publicKeyNames)
}

// headerOf returns the header of a token in the compact form; false where it has none.
func headerOf(token string) (header claims, ok bool) {
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	return header, err == nil && json.Unmarshal(text, &header) == nil && header != nil
}

// isSigned reports whether a text has the form of a signed JWT, whatever it is worth.
func isSigned(token string) bool {
	_, ok := headerOf(token)
	return ok && strings.Count(token, ".") == 2
}
