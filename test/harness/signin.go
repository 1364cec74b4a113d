package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// Password is that of every user of tests who has one.
const Password = "Decolagem às 7h30"

// SetPassword gives a user the password Password and returns the e-mail address.
func SetPassword(t testing.TB, portal *dbtest.Portal, userID string) (email string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return portal.ID(t, `UPDATE users SET password_hash = $1 WHERE id::text = $2 RETURNING email`, string(hash), userID)
}

// Call sends JSON by a method and returns the answer, "" in body for none.
func (p *Program) Call(t testing.TB, method, path, token string, body any, header ...string) (*http.Response, map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, p.Base+"api/"+path, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &fields); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, answer, err)
		}
	}
	return response, fields
}

// SignedIn is a user with a session: an access token and a refresh token.
type SignedIn struct {
	Token, Refresh string
}

// SignIn signs a user in with Password.
func (p *Program) SignIn(t testing.TB, email string) SignedIn {
	t.Helper()
	response, body := p.Call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": Password})
	return SessionOf(t, response, body)
}

// SessionOf returns the session that an answer begins; any other answer ends the test.
func SessionOf(t testing.TB, response *http.Response, body map[string]any) SignedIn {
	t.Helper()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("no session: %s %v", response.Status, body)
	}
	token, _ := body["token"].(string)
	refresh, _ := body["refreshToken"].(string)
	return SignedIn{token, refresh}
}

// LogInFrom signs in from a network address that a trusted proxy names.
func (p *Program) LogInFrom(t testing.TB, email, password, address string, header ...string) *http.Response {
	t.Helper()
	header = append(header, "X-Forwarded-For", address)
	response, _ := p.Call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": password}, header...)
	return response
}
