package attack

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// forge signs a token with whatever is given (RFC 7515).
func forge(header, payload string, sum func() hash.Hash, key string) string {
	text := encode(header) + "." + encode(payload)
	if sum == nil {
		return text + "."
	}
	mac := hmac.New(sum, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// tokens presents tokens that nobody signed, or that say what they may not, as the victim's.
func tokens(a *attackSetup) {
	const hs256 = `{"alg":"HS256","typ":"JWT"}`
	later := time.Now().Add(time.Hour).Unix()
	good := fmt.Sprintf(`{"sub":"%s","exp":%d}`, a.victim.UserID, later)
	if got := a.get(forge(hs256, good, sha256.New, harness.Secret), "/api/auth/me"); got.status != 200 {
		a.t.Fatalf("a good token is answered by %d %s: nothing below would mean anything", got.status, got.body)
	}
	var bad []string
	for _, algorithm := range []string{"none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "HS256 ", "hs256", "A128KW", "dir", "null"} {
		header := `{"alg":"` + algorithm + `","typ":"JWT"}`
		bad = append(bad, forge(header, good, nil, ""))
		for _, key := range []string{"", "secret", "x"} {
			bad = append(bad, forge(header, good, sha256.New, key))
		}
		if algorithm != "" {
			bad = append(bad, forge(header, good, sha512.New, harness.Secret))
		}
	}
	for _, key := range []string{"", "secret", "changeme", "\x00", harness.Secret[:len(harness.Secret)-1], harness.Secret + " ", strings.ToUpper(harness.Secret), encode(harness.Secret)} {
		bad = append(bad, forge(hs256, good, sha256.New, key))
	}
	whole := forge(hs256, good, sha256.New, harness.Secret)
	end := strings.LastIndexByte(whole, '.')
	text, signature := whole[:end], whole[end+1:]
	raw, _ := base64.RawURLEncoding.DecodeString(signature)
	for bit := range 8 * len(raw) {
		flipped := append([]byte{}, raw...)
		flipped[bit/8] ^= 1 << (bit % 8)
		bad = append(bad, text+"."+base64.RawURLEncoding.EncodeToString(flipped))
	}
	for n := 0; n < len(whole)-1; n += 3 {
		bad = append(bad, whole[:n])
	}
	other := strings.Split(a.attackerToken, ".")
	bad = append(bad, other[0]+"."+encode(good)+"."+other[2], text+"."+other[2], whole+".", whole+"."+signature, "."+whole, text, text+"..", "..", "...", ".....",
		strings.ReplaceAll(whole, ".", ","), strings.ToLower(whole), strings.ReplaceAll(whole, ".", ". "))
	for _, header := range []string{
		`{"alg":"HS256","kid":"../../../../dev/null"}`, `{"alg":"HS256","kid":"' OR 1=1 --"}`, `{"alg":"HS256","jku":"http://127.0.0.1:1/keys"}`,
		`{"alg":"HS256","x5u":"http://127.0.0.1:1/cert"}`, `{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}`, `{"alg":["HS256"]}`, `{"alg":"HS256","alg":"none"}`,
		`{"alg":"HS256","crit":["exp"],"exp":1}`, `{"alg":"HS256","b64":false,"crit":["b64"]}`, `{"alg":"HS256","zip":"DEF"}`, `[]`, `null`, `"HS256"`, ``, `{`, "\x00",
	} {
		bad = append(bad, forge(header, good, sha256.New, ""), forge(header, good, nil, ""))
	}
	for _, payload := range badClaims(a.victim.UserID, later) {
		bad = append(bad, forge(hs256, payload, sha256.New, harness.Secret))
	}
	for _, token := range some(a, 8, bad) {
		a.refused("tokens", "Bearer "+token, a.get(token, "/api/owners/"+a.victim.ID+"/metrics"))
	}
	for _, token := range some(a, 16, bad) {
		a.refused("tokens", "cookie "+token, a.send(a.plain, request("GET", "/api/auth/me", "Cookie: jwt="+token)))
	}
	for _, line := range []string{
		"Authorization: Basic " + whole, "Authorization: Bearer", "Authorization: Bearer ", "Authorization: Token " + whole, "Authorization: " + whole,
		"Authorization: Bearer " + whole + " " + whole, "Authorization: Bearer " + whole + "," + whole, "Proxy-Authorization: Bearer " + whole, "X-Access-Token: " + whole,
		"Authorization: Bearer " + whole + "\r\nAuthorization: Bearer " + a.attackerToken, "Cookie: token=" + whole, "Cookie: JWT=" + whole,
	} {
		a.refused("tokens", line, a.send(a.plain, request("GET", "/api/owners/"+a.victim.ID+"/metrics", line)))
	}
	for _, name := range []string{"token", "access_token", "jwt", "bearer", "ticket", "auth", "Authorization"} {
		a.refused("tokens", "?"+name, a.send(a.plain, request("GET", "/api/owners/"+a.victim.ID+"/metrics?"+name+"="+whole)))
	}
}

// badClaims are payloads that a server's own key has signed and that let nobody in.
func badClaims(userID string, later int64) []string {
	with := func(claims string) string { return fmt.Sprintf(`{"exp":%d,%s}`, later, claims) }
	list := []string{
		with(`"sub":""`), with(`"sub":null`), with(`"sub":{}`), with(`"sub":["` + userID + `"]`), with(`"sub":true`), with(`"sub":1.5`), with(`"sub":-1`),
		with(`"sub":"\u0000"`), with(`"sub":"` + userID + `\u0000"`), with(`"sub":" ` + userID + `"`), with(`"sub":"` + strings.Repeat("9", 5000) + `"`),
		with(`"sub":"999999999999999999999999999"`), with(`"sub":"` + userID + ` OR 1=1"`), with(`"sub":1e400`), with(`"name":"nobody"`), with(`"sub":"\ud800"`),
		with(`"sub":{"id":"` + userID + `"}`), with(`"sub":null,"userId":"` + userID + `"`), with(`"sub":"","id":"` + userID + `"`),
		fmt.Sprintf(`{"sub":"%s"}`, userID), fmt.Sprintf(`{"sub":"%s","exp":0}`, userID), fmt.Sprintf(`{"sub":"%s","exp":null}`, userID),
		fmt.Sprintf(`{"sub":"%s","exp":"%d"}`, userID, -later), fmt.Sprintf(`{"sub":"%s","exp":-1}`, userID), fmt.Sprintf(`{"sub":"%s","exp":"soon"}`, userID),
		fmt.Sprintf(`{"sub":"%s","exp":%d,"nbf":%d}`, userID, later, later), fmt.Sprintf(`{"sub":"%s","exp":[%d]}`, userID, later),
		fmt.Sprintf(`{"sub":"%s","exp":%d}`, userID, time.Now().Add(-time.Hour).Unix()),
		``, `null`, `[]`, `"text"`, `{`, `{"sub"}`, "\xff\xfe", "\x00", strings.Repeat("[", 4000), `{"sub":"` + userID + `","exp":` + fmt.Sprint(later),
	}
	return list
}
