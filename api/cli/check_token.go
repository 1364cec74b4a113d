package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
)

// maxTokenFile is the most bytes of a file with a token that are read.
const maxTokenFile = 64 << 10

// checkSignIn looks at what verifies tokens: the secret, the issuer's keys, and the column that
// names users; then at a token, if there is one. store is nil where no database can be asked.
func (c *checkCommand) checkSignIn(ctx context.Context, s *Settings, store *db.Store, f *findings) error {
	if err := s.tokenSettings.check(); err != nil {
		f.mend("%v", err)
		return nil
	}
	secret, err := s.presentSecret()
	if err != nil {
		f.mend("%v", err)
		return nil
	}
	if len(secret) > 0 {
		f.good("HS256 tokens are verified with JWT_SECRET, a key of %d bytes", len(secret))
	}
	quiet := slog.New(slog.DiscardHandler)
	tokens, err := s.verifier(secret, quiet)
	if err != nil {
		f.mend("%v", err)
		return nil
	}
	c.checkKeys(ctx, s, tokens, f)
	var users *api.Users
	switch {
	case store != nil:
		users = s.checkColumn(ctx, secret, store, f)
	case s.JWTUserColumn != userID:
		f.note("whose tokens they are was not asked: JWT_USER_COLUMN=%s needs a database", s.JWTUserColumn)
	}
	tokens.Apply(s.rules(users))
	if c.Token == "" {
		return nil
	}
	token, err := c.readToken()
	if err != nil {
		return err
	}
	return explain(ctx, tokens, token, store, f)
}

// checkKeys looks whether the issuer's keys can be had, and what is asked of its tokens.
func (c *checkCommand) checkKeys(ctx context.Context, s *Settings, tokens *api.Tokens, f *findings) {
	issuer := tokens.Issuer()
	if issuer == nil {
		return
	}
	switch usable, total, err := issuer.Load(ctx); {
	case err != nil:
		f.mend("the issuer's keys cannot be had: %v", err)
	case usable == 0:
		f.mend("the issuer publishes %d keys, and none of an algorithm that counts here", total)
	default:
		f.good("the issuer publishes %d keys, of which %d count here", total, usable)
	}
	if len(named(s.JWTIssuer)) == 0 {
		f.note("JWT_ISSUER is not set: tokens count whoever they name as their issuer, as long as one of the keys signed them")
	}
	if len(named(s.JWTAudience)) == 0 && !s.requiresClient() {
		f.note("JWT_AUDIENCE is not set: tokens that the issuer made for other services count here too")
	}
}

// checkColumn looks whether users can be found by what tokens say; nil where they cannot.
func (s *Settings) checkColumn(ctx context.Context, secret []byte, store *db.Store, f *findings) *api.Users {
	if s.JWTUserColumn == "" || s.JWTUserColumn == userID {
		return api.NewUsers(canonicalUser(store), nil, false)
	}
	column, err := store.UserColumn(ctx, s.JWTUserColumn)
	switch {
	case err != nil:
		f.mend("JWT_USER_COLUMN: %v", err)
		return nil
	case column.Unique:
		f.good("users are found by their column %s, which has a unique index", s.JWTUserColumn)
	default:
		f.mend("the column %s of users, in JWT_USER_COLUMN, has no unique index: CREATE UNIQUE INDEX CONCURRENTLY ON users (%s)", s.JWTUserColumn, s.JWTUserColumn)
	}
	return api.NewUsers(canonicalUser(store), column, s.columnIsForeign(secret))
}

// presentSecret is secret, without making one.
func (s *Settings) presentSecret() ([]byte, error) {
	if s.JWTSecret != "" || s.DatabaseURL != "" {
		return s.secret()
	}
	text, err := os.ReadFile(filepath.Join(s.DataDir, "jwt_secret"))
	if err != nil {
		return nil, nil // the first start makes one
	}
	return []byte(strings.Trim(string(text), "\r\n")), nil
}

// readToken reads the token from where the command line says. A token on the command line itself
// could be read by everybody on the machine.
func (c *checkCommand) readToken() (string, error) {
	var from io.Reader = os.Stdin
	if c.Token != "-" {
		file, err := os.Open(c.Token)
		if err != nil {
			return "", errors.New("--token takes - for standard input, or the name of a file: a token on the command line can be read by everybody on this machine")
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxTokenFile))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.Trim(strings.TrimSpace(string(text)), "\"'")
	if scheme, rest, found := strings.Cut(token, " "); found && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	if token == "" {
		return "", errors.New("there is no token to read")
	}
	return token, nil
}

// explain tells what counts of a token, whose it is, and what that user may see.
func explain(ctx context.Context, tokens *api.Tokens, token string, store *db.Store, f *findings) error {
	x := tokens.Explain(ctx, token)
	if x.Algorithm != "" {
		f.note("the token's header says alg %q, kid %q, typ %q", x.Algorithm, x.KeyID, x.Type)
	}
	for _, claim := range x.Claims {
		f.note("the token's claim %s is %s", claim[0], claim[1])
	}
	if x.Key != "" {
		f.good("the token was signed with %s", x.Key)
	}
	if x.Reason != "" {
		f.mend("the token is refused (%s): %s", x.Reason, x.Hint)
		return nil
	}
	f.good("its user is named by the claim %s: %q", x.Claim, x.Value)
	if store == nil {
		f.note("whether there is such a user, and which accounts they may see, was not asked: there is no database to ask")
		return nil
	}
	user, err := store.User(ctx, x.UserID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		f.note("users has no row with the id %q", x.UserID)
	case err != nil:
		return err
	default:
		f.good("that is the user %s of the portal, %s", user.ID, user.Name)
	}
	accounts, err := store.Accounts(ctx, x.UserID)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		f.good("who may see the owner account %s, %s, as %s", account.OwnerID, account.CompanyName, account.Role)
	}
	if len(accounts) == 0 {
		f.mend("that user may see no owner account: hangar_owners.user_id is theirs in no row, and nobody shares one with them")
	}
	return nil
}
