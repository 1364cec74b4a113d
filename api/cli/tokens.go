package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
)

// minSecret is the fewest bytes of a secret: those of an HMAC SHA-256 key (RFC 7518, section 3.2).
const minSecret = 32

// userID is the column of users that needs no looking up.
const userID = "id"

// check refuses settings that cannot work.
func (s *tokenSettings) check() error {
	keys, err := url.Parse(s.JWKSURL)
	switch {
	case s.JWKSURL != "" && !isAddress(s.JWKSURL):
		return errors.New("JWKS_URL is no address of a key set: write it like https://issuer.example/.well-known/jwks.json")
	case s.JWKSURL != "" && err == nil && keys.Scheme == "http" && !api.IsLoopback(keys):
		return errors.New("JWKS_URL is plain http: whoever is on the way could sign tokens; write https, or copy the keys into JWKS_FILE")
	case s.JWKSURL != "" && s.JWKSFile != "":
		return errors.New("JWKS_URL and JWKS_FILE exclude each other: keys come from one of them")
	case s.AuthHookURL != "" && !isAddress(s.AuthHookURL):
		return errors.New("AUTH_HOOK_URL is no address: write it like https://portal.example/api/whoami")
	}
	if _, err := api.ParseRequiredClaims(named(s.JWTRequiredClaims)); err != nil {
		return fmt.Errorf("JWT_REQUIRED_CLAIMS: %w", err)
	}
	if s.JWKSFile != "" {
		if _, err := api.NewKeyFile(s.JWKSFile, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}
	for _, name := range named(s.JWTCookie) {
		if (&http.Cookie{Name: name, Value: "x"}).Valid() != nil {
			return fmt.Errorf("JWT_COOKIE: %q is no name of a cookie", name)
		}
	}
	return nil
}

func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// named returns a list's items without spaces around them, and without those that are empty.
func named(list []string) []string {
	var items []string
	for _, item := range list {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// secret returns the key of HS256 tokens, nil for none, which other ways of knowing users make up
// for. A development server, one with a private PostgreSQL, makes one and keeps it in DATA_DIR.
func (s *Settings) secret() ([]byte, error) {
	if s.JWTSecret != "" {
		return s.tokenSettings.secret()
	}
	elsewhere := s.JWKSURL != "" || s.JWKSFile != "" || s.AuthHookURL != ""
	switch {
	case s.DatabaseURL != "" && elsewhere:
		return nil, nil
	case s.DatabaseURL != "":
		return nil, fmt.Errorf("JWT_SECRET is missing: with DATABASE_URL set it must be given, at least %d bytes, the same that the portal signs with; or JWKS_URL, JWKS_FILE or AUTH_HOOK_URL", minSecret)
	}
	return s.developmentSecret()
}

// secret returns JWT_SECRET as the key that it stands for, or says what is wrong with it,
// without telling anything of it.
func (s *tokenSettings) secret() ([]byte, error) {
	// what reads a file into a variable leaves its line's end
	text := strings.Trim(s.JWTSecret, "\r\n")
	switch first, last := text[:min(1, len(text))], text[max(0, len(text)-1):]; {
	case strings.HasPrefix(text, "-----BEGIN"):
		return nil, errors.New("JWT_SECRET is a key in PEM, and no secret: give it random text, and the keys of a foreign issuer by JWKS_URL or JWKS_FILE")
	case len(text) > 1 && first == last && strings.ContainsAny(first, "\"'`"):
		return nil, errors.New("JWT_SECRET stands in quotation marks, which the portal does not sign with: leave them out")
	}
	key := []byte(text)
	if s.JWTSecretIsBase64 {
		var err error
		if key, err = decodeBase64(text); err != nil {
			return nil, errors.New("JWT_SECRET is no base64: correct it, or leave JWT_SECRET_IS_BASE64 out")
		}
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("JWT_SECRET has %d bytes: give it at least %d, for example from `openssl rand -hex 32`", len(key), minSecret)
	}
	return key, nil
}

// decodeBase64 decodes either alphabet of base64, with or without padding (RFC 4648,
// sections 4 and 5).
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	return base64.RawStdEncoding.DecodeString(text)
}

// developmentSecret returns the secret that is kept in DATA_DIR, and makes it first where
// there is none.
func (s *Settings) developmentSecret() ([]byte, error) {
	file := filepath.Join(s.DataDir, "jwt_secret")
	text, err := os.ReadFile(file)
	if text = bytes.Trim(text, "\r\n"); err == nil && len(text) >= minSecret {
		return text, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the development secret: %w", err)
	}
	random := make([]byte, minSecret)
	rand.Read(random)
	text = []byte(hex.EncodeToString(random))
	if err := os.MkdirAll(s.DataDir, 0o755); err != nil {
		return nil, fmt.Errorf("make DATA_DIR: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("keep the development secret: %w", err)
	}
	return text, nil
}

// tokens returns what verifies tokens by the settings, and what must run beside it.
func (s *Settings) tokens(ctx context.Context, secret []byte, store *db.Store, log *slog.Logger) (*api.Tokens, []api.Service, error) {
	tokens, err := s.verifier(secret, log)
	if err != nil {
		return nil, nil, err
	}
	users, err := s.users(ctx, secret, store, log)
	if err != nil {
		return nil, nil, err
	}
	tokens.Apply(s.rules(users))
	tokens.LogTo(log)
	if s.AuthHookURL != "" {
		tokens.Ask(api.NewHook(s.AuthHookURL, canonicalUser(store), nil, log))
		if u, err := url.Parse(s.AuthHookURL); err == nil && u.Scheme == "http" && !api.IsLoopback(u) {
			log.Warn("AUTH_HOOK_URL is plain http: sessions of users can be read on the way", "host", u.Host)
		}
	}
	return tokens, s.issuerOf(tokens, log), nil
}

// verifier returns what verifies signatures by the settings.
func (s *Settings) verifier(secret []byte, log *slog.Logger) (*api.Tokens, error) {
	tokens := api.NewTokens(secret)
	switch {
	case s.JWKSURL != "":
		tokens.Trust(api.NewIssuer(s.JWKSURL, nil, log))
	case s.JWKSFile != "":
		issuer, err := api.NewKeyFile(s.JWKSFile, log)
		if err != nil {
			return nil, err
		}
		tokens.Trust(issuer)
	}
	return tokens, nil
}

// issuerOf returns the issuer that must run, and warns of what is not asked of its tokens.
func (s *Settings) issuerOf(tokens *api.Tokens, log *slog.Logger) []api.Service {
	issuer := tokens.Issuer()
	asked := len(named(s.JWTIssuer)) > 0 || len(named(s.JWTAudience)) > 0
	if issuer == nil {
		if asked {
			log.Warn("JWT_ISSUER and JWT_AUDIENCE are asked of tokens by JWKS_URL or JWKS_FILE only, and neither is set")
		}
		return nil
	}
	if len(named(s.JWTIssuer)) == 0 {
		log.Warn("JWT_ISSUER is not set: tokens count whoever they name as their issuer, as long as one of the keys signed them")
	}
	if len(named(s.JWTAudience)) == 0 && !s.requiresClient() {
		log.Warn("JWT_AUDIENCE is not set: tokens that the issuer made for other services count here too")
	}
	return []api.Service{issuer}
}

// requiresClient reports whether the required claims name the program that a token was made for,
// where it has no audience.
func (s *Settings) requiresClient() bool {
	required, err := api.ParseRequiredClaims(named(s.JWTRequiredClaims))
	return err == nil && slices.ContainsFunc(required, func(r api.RequiredClaim) bool {
		return slices.Contains([]string{"azp", "client_id", "cid", "appid"}, r.Name)
	})
}

// rules returns what the settings ask of tokens; users may be nil.
func (s *Settings) rules(users *api.Users) api.Rules {
	required, err := api.ParseRequiredClaims(named(s.JWTRequiredClaims))
	if err != nil {
		panic(err) // check has parsed them
	}
	claims := named(s.JWTUserClaim)
	if len(claims) == 0 {
		claims = api.DefaultUserClaims
	}
	return api.Rules{
		UserClaims: claims, Required: required, Issuers: named(s.JWTIssuer), Audiences: named(s.JWTAudience), Users: users,
	}
}

// users returns how the users of tokens are found in a database.
func (s *Settings) users(ctx context.Context, secret []byte, store *db.Store, log *slog.Logger) (*api.Users, error) {
	if s.JWTUserColumn == "" || s.JWTUserColumn == userID {
		return api.NewUsers(canonicalUser(store), nil, false), nil
	}
	column, err := store.UserColumn(ctx, s.JWTUserColumn)
	if err != nil {
		return nil, fmt.Errorf("JWT_USER_COLUMN: %w", err)
	}
	if !column.Unique {
		log.Warn("the column in JWT_USER_COLUMN has no unique index: users are found slowly, and two with one value are nobody", "column", s.JWTUserColumn)
	}
	return api.NewUsers(canonicalUser(store), column, s.columnIsForeign(secret)), nil
}

// canonicalUser returns how a database writes users' ids. A text that cannot be one stays
// as it is: it is nobody's.
func canonicalUser(store *db.Store) func(id string) string {
	return func(id string) string {
		if canonical, err := store.CanonicalUserID(id); err == nil {
			return canonical
		}
		return id
	}
}

// columnIsForeign reports whether JWT_USER_COLUMN counts for tokens of public keys only: the portal
// signs others with the secret.
func (s *Settings) columnIsForeign(secret []byte) bool {
	return len(secret) > 0 && (s.JWKSURL != "" || s.JWKSFile != "")
}
