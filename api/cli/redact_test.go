package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestSecretsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`parse "postgres://u:geheim@h:port/d": invalid port`:                `parse "postgres://u:xxxxx@h:port/d": invalid port`,
		`redis://:geheim@h:6379 and amqp://u:p@ss-geheim@h`:                 `redis://:xxxxx@h:6379 and amqp://u:xxxxx@h`,
		`Get "https://issuer.example/keys?api_key=geheim&x=1": EOF`:         `Get "https://issuer.example/keys?api_key=xxxxx&x=1": EOF`,
		`host=h sslpassword='ge\'heim' password = geheim user=u`:            `host=h sslpassword=xxxxx password = xxxxx user=u`,
		`bad flag --jwt-secret=geheim`:                                      `bad flag --jwt-secret=xxxxx`,
		`token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.geheim is no good`:      `token xxxxx is no good`,
		`level=INFO msg="started at http://127.0.0.1:8080/" user=7 count=3`: `level=INFO msg="started at http://127.0.0.1:8080/" user=7 count=3`,
		`cannot reach postgres://hangarshare@/hangarshare?host=/tmp&port=1`: `cannot reach postgres://hangarshare@/hangarshare?host=/tmp&port=1`,
	} {
		var out bytes.Buffer
		n, err := redacting{&out}.Write([]byte(text))
		if err != nil || n != len(text) || out.String() != want {
			t.Errorf("%q became %q, want %q (%d, %v)", text, out.String(), want, n, err)
		}
	}
	var out bytes.Buffer
	Run(t.Context(), nil, []string{"serve", "--jwt-secret=geheim-geheim", "--addr", "127.0.0.1:0", "postgres://u:geheim@h/d"}, &out, &out)
	if out.Len() == 0 || strings.Contains(out.String(), "geheim") {
		t.Errorf("a wrong command line is answered by %q", out.String())
	}
}
