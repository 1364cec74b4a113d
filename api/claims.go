package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// maxWhole is the largest number up to which a float holds every whole one (RFC 8259,
	// section 6).
	maxWhole = 1<<53 - 1
	// lastInstant is the first second after the year 9999: a token that lasts longer
	// counts in other units.
	lastInstant = 253402300800
	// maxUserID is the longest user id, in bytes.
	maxUserID = 255
)

// claims is what a token says (RFC 7519, section 4), which is not changed.
type claims map[string]json.RawMessage

// find returns a claim: by its exact name or, where the name begins with a slash, by a
// JSON Pointer (RFC 6901).
func (c claims) find(name string) (value json.RawMessage, found bool) {
	path, isPointer := strings.CutPrefix(name, "/")
	if !isPointer {
		value, found = c[name]
		return value, found
	}
	object := map[string]json.RawMessage(c)
	var list []json.RawMessage
	for step := range strings.SplitSeq(path, "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		if list != nil {
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(list) || strconv.Itoa(index) != step {
				return nil, false
			}
			value = list[index]
		} else if value, found = object[step]; !found {
			return nil, false
		}
		object, list = nil, nil
		if json.Unmarshal(value, &list) != nil {
			json.Unmarshal(value, &object) // what is neither has no members
		}
	}
	return value, true
}

// texts returns what a claim says as a list of texts: one of a text, a number or a boolean, several
// of an array. A scope counts as the list that it is (RFC 8693, section 4.2).
func (c claims) texts(name string) []string {
	value, _ := c.find(name)
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		list = []json.RawMessage{value}
	}
	texts := make([]string, 0, len(list))
	for _, one := range list {
		var text string
		switch {
		case json.Unmarshal(one, &text) == nil && (name == "scope" || name == "scp"):
			texts = append(texts, strings.Fields(text)...)
		case json.Unmarshal(one, &text) == nil && string(one) != "null":
			texts = append(texts, text)
		case idOf(one) != "":
			texts = append(texts, idOf(one))
		case string(one) == "true", string(one) == "false":
			texts = append(texts, string(one))
		}
	}
	return texts
}

// idOf reads an id that a token carries as a text or a whole number, of which every digit
// counts; "" is none.
func idOf(claim json.RawMessage) string {
	if len(claim) == 0 {
		return "" // most tokens lack most claims
	}
	var text string
	if json.Unmarshal(claim, &text) == nil {
		return text
	}
	digits := string(claim)
	if !strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return digits
	}
	number, err := strconv.ParseFloat(digits, 64) // some signers write 1000000 as 1e+06
	if err != nil || number < 1 || number > maxWhole {
		return ""
	}
	// 1.00000000000000000001 is not 1
	exact, _, err := big.ParseFloat(digits, 10, uint(4*len(digits)+64), big.ToZero)
	if err != nil || !exact.IsInt() {
		return ""
	}
	return strconv.FormatFloat(number, 'f', -1, 64)
}

// isUserID reports whether a text can be a user's id in any database: nothing that cannot be stored
// or seen, and nothing that was lost on the way here, as half a surrogate pair is.
func isUserID(text string) bool {
	return text != "" && len(text) <= maxUserID && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// user returns the value of the first of some claims that is present, and its name.
func (c claims) user(names []string) (name, value string, err error) {
	for _, name := range names {
		claim, found := c.find(name)
		if !found {
			continue
		}
		if value = idOf(claim); !isUserID(value) {
			return name, "", invalidToken(reasonUser, "the claim that names the user is no text or whole number that can be an id")
		}
		return name, value, nil
	}
	return "", "", invalidToken(reasonNoUser, "the token has none of JWT_USER_CLAIM")
}

// times checks when a token is valid and returns when it was issued, zero if it does not
// say, and when it ends.
func (c claims) times(options []jwt.ValidateOption) (issued, expires time.Time, err error) {
	token := jwt.New()
	for _, name := range []string{jwt.ExpirationKey, jwt.NotBeforeKey, jwt.IssuedAtKey} {
		text, given := c[name]
		if !given {
			continue
		}
		at, ok := instant(text)
		if !ok || token.Set(name, at) != nil {
			return issued, expires, invalidToken(reasonTimes, "exp, nbf and iat are seconds since 1970, as numbers")
		}
	}
	leeway := handlers.TokenLeeway(0)
	if !token.IssuedAt().IsZero() {
		leeway = handlers.TokenLeeway(token.Expiration().Sub(token.IssuedAt()))
	}
	switch err := jwt.Validate(token, options...); {
	case token.Expiration().IsZero():
		return issued, expires, invalidToken(reasonTimes, "the token has no exp: it would last for ever")
	case errors.Is(err, jwt.ErrTokenExpired()), err == nil && time.Since(token.Expiration()) > leeway:
		return issued, expires, &CredentialError{reasonEnded, "the token has ended, or this machine's clock is ahead", errTokenEnded}
	case err != nil:
		return issued, expires, invalidToken(reasonEarly, "the token begins or was issued later than now: one of two clocks is wrong")
	case token.IssuedAt().After(token.Expiration()):
		return issued, expires, invalidToken(reasonTimes, "the token was issued after its end")
	}
	return token.IssuedAt(), token.Expiration(), nil
}

// instant reads a NumericDate (RFC 7519, section 2).
func instant(claim json.RawMessage) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(string(claim), 64)
	if err != nil || seconds < 0 || seconds >= lastInstant {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// accessTypes are what a token may say in its header that it is (RFC 7515, section 4.1.9; RFC 9068,
// section 2.1), in lower case.
var accessTypes = []string{"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}

// checkType refuses tokens that say in their header that they are for something else (RFC
// 8725, section 3.11).
func checkType(typ string) error {
	if !slices.Contains(accessTypes, strings.ToLower(typ)) {
		return invalidToken(reasonPurpose, "its typ says that it is no access token")
	}
	return nil
}

// purposes are claims that tell a token of another purpose, and what they then say, in lower case.
var purposes = map[string][]string{
	"token_type": {"refresh", "refresh_token"},                 // Simple JWT
	"token_use":  {"refresh", "refresh_token"},                 //
	"type":       {"refresh", "refresh_token"},                 // Flask-JWT-Extended
	"typ":        {"refresh", "offline", "logout"},             // Keycloak
	"drn":        {"dsr"},                                      // Descope
	"gty":        {"client-credentials", "client_credentials"}, // Auth0, FusionAuth
	"grant_type": {"client-credentials", "client_credentials"}, // UAA
	"idtyp":      {"app"},                                      // Entra
}

// clientClaims are where a token names the program that it was issued to (RFC 9068, section 2.2;
// OpenID Connect Core, section 2).
var clientClaims = []string{"client_id", "azp", "cid", "appid", "clientId"}

// checkPurpose refuses tokens whose claims say that they are for something else than access:
// refresh and logout tokens. It refuses, too, those that a program got for itself: its id is no
// user's, even where a user has the same. user is the value of the claim that counts.
func (c claims) checkPurpose(user string) error {
	for name, values := range purposes {
		for _, said := range c.texts(name) {
			if slices.Contains(values, strings.ToLower(said)) {
				return invalidToken(reasonPurpose, "its claim "+name+" says that it is no access token of a person")
			}
		}
	}
	if _, isEvent := c["events"]; isEvent { // RFC 8417, section 2.2
		return invalidToken(reasonPurpose, "it tells events, and gives no access")
	}
	subject := idOf(c[jwt.SubjectKey])
	for _, name := range clientClaims {
		if client := idOf(c[name]); client != "" && (client == subject || client == user) {
			return invalidToken(reasonPurpose, "its claim "+name+" is its user: a program got it for itself")
		}
	}
	switch issuer := idOf(c[jwt.IssuerKey]); {
	case strings.HasSuffix(subject, "@clients"): // Auth0
		return invalidToken(reasonPurpose, "its subject is a program of Auth0")
	case strings.HasPrefix(idOf(c["preferred_username"]), "service-account-"): // Keycloak
		return invalidToken(reasonPurpose, "its user is a service account of Keycloak")
	case subject != "" && subject == issuer: // RFC 7523, section 3
		return invalidToken(reasonPurpose, "its issuer is its subject: a program made it for itself")
	case subject != "" && subject == idOf(c["oid"]) && c["scp"] == nil && (c["appid"] != nil || c["azp"] != nil):
		// Entra, without idtyp
		return invalidToken(reasonPurpose, "its subject is a program of Entra")
	}
	return nil
}

// RequiredClaim is a claim that tokens must have, with a value that it must be or hold. Of several
// with one name, one holds.
type RequiredClaim struct{ Name, Value string }

// ParseRequiredClaims reads claims as name=value. The error names what is none.
func ParseRequiredClaims(list []string) ([]RequiredClaim, error) {
	var required []RequiredClaim
	for _, text := range list {
		name, value, _ := strings.Cut(text, "=")
		if name == "" || value == "" {
			return nil, fmt.Errorf("%q is no claim with its value: write it like token_type=access", text)
		}
		required = append(required, RequiredClaim{name, value})
	}
	return required, nil
}

// checkRequired refuses tokens that lack what the operator requires.
func (c claims) checkRequired(required []RequiredClaim) error {
	holds := make(map[string]bool)
	for _, r := range required {
		holds[r.Name] = holds[r.Name] || slices.Contains(c.texts(r.Name), r.Value)
	}
	for _, r := range required {
		if !holds[r.Name] {
			return invalidToken(reasonRequired, "its claim "+r.Name+" does not hold what JWT_REQUIRED_CLAIMS wants")
		}
	}
	return nil
}
