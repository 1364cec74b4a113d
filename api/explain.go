package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// Explanation is what counts of a token, for the operator who holds it.
type Explanation struct {
	Algorithm, KeyID, Type string // of its header, which anybody may have written
	// Key says in words which key signed it; "" where none of those that are known here did.
	Key string
	// Claims are those that count here, by name and value, in the order in which they are looked
	// at. They prove nothing where Key is empty.
	Claims [][2]string
	// Claim names the claim that says who the user is, Value what it says, and UserID
	// whose token it is.
	Claim, Value, UserID string
	Expires              time.Time
	// Reason says why the token is refused, as the counter of refusals does, and Hint what to look
	// at; both are empty for one that counts.
	Reason, Hint string
}

// Explain tells what counts of a token, or why it is refused. It counts nothing.
func (t *Tokens) Explain(ctx context.Context, token string) Explanation {
	e, err := t.examine(ctx, token)
	x := Explanation{Algorithm: e.algorithm.String(), KeyID: e.keyID, Claim: e.claim, Value: e.value}
	said := e.claims
	if message, failed := jws.Parse([]byte(token), jws.WithCompact()); failed == nil && len(message.Signatures()) == 1 {
		header := message.Signatures()[0].ProtectedHeaders()
		x.Algorithm, x.KeyID, x.Type = header.Algorithm().String(), header.KeyID(), header.Type()
		if said == nil {
			json.Unmarshal(message.Payload(), &said) // what is no object has no claims
		}
	} else if header, ok := headerOf(token); ok {
		x.Algorithm, x.KeyID, x.Type = idOf(header["alg"]), idOf(header["kid"]), idOf(header["typ"])
	}
	switch e.signer {
	case signerSelf:
		x.Key = "JWT_SECRET, by this server itself"
	case signerPortal:
		x.Key = "JWT_SECRET"
	case signerIssuer:
		x.Key = "a key of " + t.issuer.source.setting()
	}
	x.Claims = t.counting(said)
	if err != nil {
		x.Reason, x.Hint = reasonOf(err)
		if x.Hint == "" {
			x.Hint = err.Error()
		}
		if hint := t.otherSecret(token); x.Reason == reasonSignature && hint != "" {
			x.Hint = hint
		}
		return x
	}
	x.UserID, x.Expires = e.viewer.UserID, e.viewer.Expires
	return x
}

// counting returns those of a token's claims that are looked at here.
func (t *Tokens) counting(said claims) (list [][2]string) {
	names := []string{jwt.IssuerKey, jwt.AudienceKey}
	for _, r := range t.rules.Required {
		names = append(names, r.Name)
	}
	names = append(append(names, t.rules.UserClaims...), jwt.ExpirationKey, jwt.NotBeforeKey, jwt.IssuedAtKey)
	for i, name := range names {
		value, found := said.find(name)
		if !found || slices.Contains(names[:i], name) {
			continue
		}
		text := string(value)
		if at, ok := instant(value); ok && slices.Contains([]string{jwt.ExpirationKey, jwt.NotBeforeKey, jwt.IssuedAtKey}, name) {
			text += " (" + at.UTC().Format(time.RFC3339) + ")"
		}
		list = append(list, [2]string{name, text})
	}
	return list
}

// otherSecret says what JWT_SECRET must have been when a token was signed with another
// form of it; "" is nothing known.
func (t *Tokens) otherSecret(token string) string {
	if !t.signs() {
		return ""
	}
	text := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(string(t.secret)), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	forms := []struct {
		key  []byte
		hint string
	}{
		{decoded, "it was signed with JWT_SECRET decoded from base64: set JWT_SECRET_IS_BASE64=true"},
		{[]byte(base64.StdEncoding.EncodeToString(t.secret)), "it was signed with the text of JWT_SECRET and not with what that decodes to: leave JWT_SECRET_IS_BASE64 out"},
		{append(slices.Clone(t.secret), '\n'), "its signer uses JWT_SECRET with a line break at its end: mend it there"},
		{[]byte(`"` + string(t.secret) + `"`), "its signer uses JWT_SECRET with quotation marks around it: mend it there"},
		{hashOfSecret(t.secret), "its signer uses the SHA-256 of JWT_SECRET as the key"},
	}
	for i, form := range forms {
		if i == 0 && err != nil || len(form.key) == 0 {
			continue
		}
		if _, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKey(jwa.HS256, form.key)); err == nil {
			return form.hint
		}
	}
	return ""
}

func hashOfSecret(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}

// Load has the issuer's keys fetched once, and returns how many of them count here, and
// of how many.
func (i *Issuer) Load(ctx context.Context) (usable, total int, err error) {
	if err := i.refresh(ctx, false); err != nil {
		return 0, 0, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.set.keys), i.set.total, nil
}
