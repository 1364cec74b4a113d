package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

var hmacKey = []byte("the secret of HS256 tokens, 32 bytes or more")

// written returns a token of a header and a payload exactly as they are, with a good HMAC of them.
func written(header, payload string) string {
	text := encode(header) + "." + encode(payload)
	mac := hmac.New(sha256.New, hmacKey)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestUserOfAToken(t *testing.T) {
	t.Parallel()
	tokens, soon := NewTokens(hmacKey), time.Now().Add(time.Hour).Unix()
	for payload, want := range map[string]string{
		`"sub":"7"`:                                "7",
		`"sub":7`:                                  "7",
		`"sub":"7","userId":8,"id":9`:              "7",
		`"userId":8,"id":9`:                        "8",
		`"sub":"","userId":8,"id":9`:               "",
		`"sub":null,"userId":"8","id":9`:           "",
		`"sub":"7\u0000","id":9`:                   "",
		`"sub":"\ud800","id":9`:                    "",
		`"sub":"a\nb","id":9`:                      "",
		`"sub":{},"id":9`:                          "",
		`"id":9,"email":"a@b","role":"owner"`:      "9",
		`"id":1000000`:                             "1000000",
		`"id":1e+06`:                               "1000000",
		`"id":9007199254740993`:                    "9007199254740993",
		`"id":123456789012345678901234567890`:      "123456789012345678901234567890",
		`"sub":"6f1c0b1e-6a53-4a39-8b3f-0d5f3a7e"`: "6f1c0b1e-6a53-4a39-8b3f-0d5f3a7e",
		`"ownerId":"3"`:                            "",
		`"Sub":"7","USERID":8,"Id":9`:              "",
		`"id":1.5`:                                 "",
		`"id":1.0000000000000000000001`:            "",
		`"id":1e-1000000000`:                       "",
		`"id":7.0`:                                 "7",
		`"id":-7`:                                  "",
		`"id":1e400`:                               "",
		`"id":1e30`:                                "",
		`"id":true`:                                "",
		`"id":{"a":1}`:                             "",
		`"id":[7]`:                                 "",
	} {
		token := sign(t, fmt.Sprintf(`{%s,"exp":%d}`, payload, soon))
		viewer, err := tokens.Verify(t.Context(), token)
		if viewer.UserID != want || (err == nil) != (want != "") {
			t.Errorf("%s: user %q, %v; want %q", payload, viewer.UserID, err, want)
		}
	}
}

// sign signs a payload of any text.
func sign(t *testing.T, payload string) string {
	t.Helper()
	return signedText(t, jwa.HS256, hmacKey, nil, []byte(payload))
}

func TestTimesOfAToken(t *testing.T) {
	t.Parallel()
	tokens, now := NewTokens(hmacKey), time.Now().Unix()
	for name, test := range map[string]struct {
		claims string
		want   error
	}{
		"good":                          {fmt.Sprintf(`"exp":%d,"nbf":%d,"iat":%d`, now+60, now-60, now-60), nil},
		"fractions":                     {fmt.Sprintf(`"exp":%d.5,"iat":%d.25`, now+60, now-60), nil},
		"ended within the leeway":       {fmt.Sprintf(`"exp":%d`, now-50), nil},
		"an hour's, within":             {fmt.Sprintf(`"exp":%d,"iat":%d`, now-50, now-3650), nil},
		"a minute's, within":            {fmt.Sprintf(`"exp":%d,"iat":%d`, now-8, now-68), nil},
		"a minute's, beyond":            {fmt.Sprintf(`"exp":%d,"iat":%d`, now-12, now-72), errTokenEnded},
		"begins within the skew":        {fmt.Sprintf(`"exp":%d,"nbf":%d`, now+600, now+50), nil},
		"issued within the skew":        {fmt.Sprintf(`"exp":%d,"iat":%d`, now+600, now+50), nil},
		"ended":                         {fmt.Sprintf(`"exp":%d`, now-70), errTokenEnded},
		"no exp":                        {`"iat":1`, errTokenInvalid},
		"exp null":                      {`"exp":null`, errTokenInvalid},
		"exp a text":                    {fmt.Sprintf(`"exp":"%d"`, now+60), errTokenInvalid},
		"exp in milliseconds":           {fmt.Sprintf(`"exp":%d`, (now+60)*1000), errTokenInvalid},
		"exp beyond numbers":            {`"exp":1e400`, errTokenInvalid},
		"exp negative":                  {`"exp":-1`, errTokenInvalid},
		"begins later":                  {fmt.Sprintf(`"exp":%d,"nbf":%d`, now+600, now+70), errTokenInvalid},
		"nbf a text":                    {fmt.Sprintf(`"exp":%d,"nbf":"soon"`, now+600), errTokenInvalid},
		"issued later":                  {fmt.Sprintf(`"exp":%d,"iat":%d`, now+600, now+70), errTokenInvalid},
		"issued in milliseconds":        {fmt.Sprintf(`"exp":%d,"iat":%d`, now+600, now*1000), errTokenInvalid},
		"issued after its end":          {fmt.Sprintf(`"exp":%d,"iat":%d`, now-2, now+30), errTokenInvalid},
		"issued a text":                 {fmt.Sprintf(`"exp":%d,"iat":"yesterday"`, now+600), errTokenInvalid},
		"issued before there were any":  {fmt.Sprintf(`"exp":%d,"iat":0`, now+600), nil},
		"issued at a negative second":   {fmt.Sprintf(`"exp":%d,"iat":-5`, now+600), errTokenInvalid},
		"issued at an endless second":   {fmt.Sprintf(`"exp":%d,"iat":1e308`, now+600), errTokenInvalid},
		"valid before the last instant": {`"exp":253402300799`, nil},
	} {
		_, err := tokens.Verify(t.Context(), sign(t, `{"sub":"7",`+test.claims+`}`))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestKnownTokens sees that a token whose signature is known to be good ends and begins
// at its times all the same.
func TestKnownTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens, now := NewTokens(hmacKey), time.Now()
		good := sign(t, fmt.Sprintf(`{"sub":"7","exp":%d}`, now.Add(time.Minute).Unix()))
		early := sign(t, fmt.Sprintf(`{"sub":"7","nbf":%d,"exp":%d}`, now.Add(2*time.Minute).Unix(), now.Add(time.Hour).Unix()))
		verify := func(what, token string, want error) {
			t.Helper()
			for range 2 {
				if viewer, err := tokens.Verify(t.Context(), token); !errors.Is(err, want) || err == nil && viewer.UserID != "7" {
					t.Errorf("%s: %+v, %v", what, viewer, err)
				}
			}
		}
		verify("a good one", good, nil)
		verify("one that begins later", early, errTokenInvalid)
		if n := tokens.verified.Len(); n != 2 {
			t.Errorf("%d signatures are known", n)
		}
		verify("another signature", good[:len(good)-4]+"AAAA", errTokenInvalid)
		if n := tokens.verified.Len(); n != 2 {
			t.Errorf("a bad signature is remembered")
		}
		time.Sleep(time.Minute + handlers.TokenLeeway(0) + time.Second)
		verify("ended", good, errTokenEnded)
		verify("begun", early, nil)
	})
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	k := issuerKeys()
	public, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)
	good := signed(t, jwa.HS256, hmacKey, "", endsSoon())
	parts := strings.Split(good, ".")
	payload := fmt.Sprintf(`{"sub":"7","exp":%d}`, time.Now().Add(time.Hour).Unix())
	bubble(t, func(s *fakeIssuer) { s.publish(t, published(t, k.rsa, map[string]any{"kid": "rsa"})) },
		func(t *testing.T, _ *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
			for name, token := range map[string]string{
				"empty":                         "",
				"garbage":                       "garbage",
				"dots":                          "..",
				"alg none":                      encode(`{"alg":"none"}`) + "." + encode(payload) + ".",
				"alg None":                      encode(`{"alg":"None"}`) + "." + encode(payload) + ".",
				"alg none, signed":              written(`{"alg":"none"}`, payload),
				"no alg":                        written(`{"typ":"JWT"}`, payload),
				"no signature":                  parts[0] + "." + parts[1] + ".",
				"another payload":               parts[0] + "." + encode(`{"sub":"7","exp":9999999999}`) + "." + parts[2],
				"a cut signature":               good[:len(good)-2],
				"a part too many":               good + ".e30",
				"another secret":                signed(t, jwa.HS256, []byte("another secret of 32 bytes or more.."), "", endsSoon()),
				"HS384":                         signed(t, jwa.HS384, hmacKey, "", endsSoon()),
				"RSA key in PEM as HMAC secret": signed(t, jwa.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "rsa", endsSoon()),
				"RSA key in DER as HMAC secret": signed(t, jwa.HS256, public, "rsa", endsSoon()),
				"RSA key in PKCS 1 as secret":   signed(t, jwa.HS256, pkcs1, "rsa", endsSoon()),
				"RSA modulus as HMAC secret":    signed(t, jwa.HS256, k.rsa.N.Bytes(), "rsa", endsSoon()),
				"our secret under RS256":        written(`{"alg":"RS256","kid":"rsa"}`, payload),
				"unknown crit":                  signedText(t, jwa.HS256, hmacKey, map[string]any{"crit": []string{"b64"}}, []byte(payload)),
				"not an object":                 sign(t, `"7"`),
				"JSON form":                     `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"} ..`,
				"too long":                      sign(t, `{"sub":"7","exp":9999999999,"pad":"`+strings.Repeat("x", maxToken)+`"}`),
			} {
				if viewer, err := tokens.Verify(t.Context(), token); !errors.Is(err, errTokenInvalid) {
					t.Errorf("%s: %+v, %v", name, viewer, err)
				}
			}
			accepts(t, tokens, good)
			accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "rsa", endsSoon()))
		})
}

func TestWithoutSecretNothingIsSigned(t *testing.T) {
	t.Parallel()
	tokens := NewTokens(nil)
	if token, _, err := tokens.Sign("7", "", time.Hour); !errors.Is(err, errNoSecret) {
		t.Errorf("signed %q, %v", token, err)
	}
	for name, token := range map[string]string{
		"a key of one zero": signed(t, jwa.HS256, []byte{0}, "", endsSoon()),
		"somebody's secret": signed(t, jwa.HS256, hmacKey, "", endsSoon()),
		"a foreign issuer":  signed(t, jwa.EdDSA, issuerKeys().ed, "", endsSoon()),
		"no signature":      encode(`{"alg":"HS256"}`) + "." + encode(`{"sub":"7"}`) + ".",
	} {
		if _, err := tokens.Verify(t.Context(), token); !errors.Is(err, errTokenInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
