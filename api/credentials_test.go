package api

import (
	"net/http"
	"net/url"
	"reflect"
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
	s := &Server{Tokens: NewTokens(nil), TokenCookies: []string{"__session", "jwt"}}
	r, err := http.NewRequest(http.MethodGet, "http://x.example/api/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "bearer H")
	r.Header.Add("Sec-WebSocket-Protocol", "hangarshare.v1")
	r.Header.Add("Sec-WebSocket-Protocol", "other, bearer.P")
	for _, cookie := range [][2]string{
		{"jwt", "C1"}, {"jwt", "C2"}, {"__Host-jwt", "H"}, {"other", "O"}, {"__session.0", "part, "}, {"__session.1", "part"}, {"__session.3", "lost"},
	} {
		r.AddCookie(&http.Cookie{Name: cookie[0], Value: cookie[1]})
	}
	for _, step := range []struct {
		want credential
		then func()
	}{
		{credential{found: true, tokens: []string{"H"}, fromHeader: true, early: true}, func() { r.Header.Add("Authorization", "Bearer H") }},
		{credential{found: true, fromHeader: true, early: true, ambiguous: true}, func() { r.Header.Set("Authorization", "Bearer H, Bearer I") }},
		{credential{found: true, tokens: []string{"H, Bearer I"}, fromHeader: true, early: true, ambiguous: true}, func() { r.Header.Set("Authorization", "Bearer ") }},
		{credential{found: true, tokens: []string{""}, fromHeader: true, early: true}, func() { r.Header.Set("Authorization", "Basic x") }},
		{credential{found: true, tokens: []string{"P"}}, func() { r.Header.Del("Sec-WebSocket-Protocol") }},
		{credential{found: true, tokens: []string{"H", "part, part", "C1", "C2"}, fromCookie: true}, func() { r.Header.Del("Cookie") }},
		{credential{found: true, tokens: []string{""}, early: true}, func() { r.Header.Del("Authorization") }},
		{credential{}, func() {}},
	} {
		if got := s.findCredential(r); !reflect.DeepEqual(got, step.want) {
			t.Errorf("got %+v, want %+v", got, step.want)
		}
		step.then()
	}
}
