package api

import (
	"net/http"
	"net/url"
	"testing"
)

func TestAddressesHoldNoTokens(t *testing.T) {
	t.Parallel()
	token := signed(t, "HS256", hmacKey, "", endsSoon())
	for query, want := range map[string]string{
		"":                                   "",
		"ownerId=1&lastEventId=abc":          "",
		"token=x":                            "token",
		"access_token=":                      "access_token",
		"jwt=x":                              "jwt",
		"bearer=x":                           "bearer",
		"refreshToken=x":                     "refreshToken",
		"auth=" + token:                      "auth",
		"auth=Bearer%20" + token:             "auth",
		"ticket=" + token:                    "ticket",
		"lastEventId=a&lastEventId=" + token: "lastEventId",
		"lastEventId=eyJhbGciOiJIUzI1NiJ9":   "",
		"ownerId=1.2.3":                      "",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := addressToken(values); got != want {
			t.Errorf("%.40s: a token in %q, want %q", query, got, want)
		}
	}
}

func TestFirstCredentialCounts(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest(http.MethodGet, "http://x.example/api/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "bearer H")
	r.Header.Add("Sec-WebSocket-Protocol", "hangarshare.v1")
	r.Header.Add("Sec-WebSocket-Protocol", "other, bearer.P")
	r.AddCookie(&http.Cookie{Name: tokenCookie, Value: "C"})
	for _, step := range []struct {
		want credential
		drop func()
	}{
		{credential{token: "H", early: true}, func() { r.Header.Set("Authorization", "Basic x") }},
		{credential{early: true}, func() { r.Header.Del("Authorization") }},
		{credential{token: "P"}, func() { r.Header.Del("Sec-WebSocket-Protocol") }},
		{credential{token: "C"}, func() { r.Header.Del("Cookie") }},
	} {
		if got, found := findCredential(r); !found || got != step.want {
			t.Errorf("got %+v, %t; want %+v", got, found, step.want)
		}
		step.drop()
	}
	if got, found := findCredential(r); found {
		t.Errorf("found %+v", got)
	}
}
