package cli

import (
	"io"
	"regexp"
)

// secrets are forms in which a secret can stand in a text that is not ours, a driver's or a
// library's error: a password in an address, a setting or parameter that is one, a token.
var secrets = []struct {
	form *regexp.Regexp
	kept string
}{
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@"']*):[^\s/"']*@`), "$1:xxxxx@"},
	{regexp.MustCompile(`(?i)\b([a-z_]*(?:passwd|password|secret|token|apikey|api_key|signature))(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&"'#;,]+)`), "$1${2}xxxxx"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), "xxxxx"},
}

// redacting writes on what is written to it without what looks like a secret. Our own messages
// leave secrets out; this is for those that come from elsewhere.
type redacting struct{ to io.Writer }

// Write implements io.Writer. Each message must come in one piece, as slog's do.
func (r redacting) Write(text []byte) (int, error) {
	kept := text
	for _, s := range secrets {
		kept = s.form.ReplaceAll(kept, []byte(s.kept))
	}
	if _, err := r.to.Write(kept); err != nil {
		return 0, err
	}
	return len(text), nil
}
