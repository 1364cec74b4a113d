package cli

import (
	"encoding/base64"
	"strings"
	"testing"
)

const testSecret = "a secret of the tests, long enough to sign"

// TestSecretsAsTheyCome starts with secrets as files, shells and dashboards give them.
func TestSecretsAsTheyCome(t *testing.T) {
	t.Parallel()
	secretOf := func(text string, isBase64 bool) (string, error) {
		s := &Settings{tokenSettings: tokenSettings{JWTSecret: text, JWTSecretIsBase64: isBase64}, DatabaseURL: "postgres://h/d"}
		key, err := s.secret()
		return string(key), err
	}
	binary := strings.Repeat("\xff\x00\xfe~", 10)
	for name, test := range map[string]struct {
		text     string
		isBase64 bool
		want     string
		says     string
	}{
		"as it is":                {testSecret, false, testSecret, ""},
		"with a line's end":       {testSecret + "\r\n", false, testSecret, ""},
		"in quotation marks":      {`"` + testSecret + `"`, false, "", "quotation marks"},
		"in apostrophes":          {"'" + testSecret + "'\n", false, "", "quotation marks"},
		"base64":                  {base64.StdEncoding.EncodeToString([]byte(binary)) + "\n", true, binary, ""},
		"base64 of addresses":     {base64.RawURLEncoding.EncodeToString([]byte(binary)), true, binary, ""},
		"base64 that is none":     {testSecret + "!", true, "", "JWT_SECRET_IS_BASE64"},
		"base64 of too few bytes": {base64.StdEncoding.EncodeToString([]byte("short")), true, "", "5 bytes"},
		"only a line's end":       {"\n", false, "", "0 bytes"},
	} {
		key, err := secretOf(test.text, test.isBase64)
		if key != test.want || (err == nil) != (test.says == "") || err != nil && (!strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), testSecret)) {
			t.Errorf("%s: %q, %v", name, key, err)
		}
	}
}
