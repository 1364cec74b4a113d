package api

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
)

const (
	// minCompressed is the fewest bytes that are worth it: less goes in one packet anyway.
	minCompressed = 1 << 10
	// lengthNoise is up to how many bytes a compressed answer is longer than it need be.
	lengthNoise = 64
)

// compress has answers compressed for clients that accept it. Never streams, which would wait
// for more; and never what holds a token beside something that a stranger may choose,
// whose length would tell of the token (the attack BREACH): sessions and tickets are left
// as they are. An owner's lists do show what guests wrote beside what is nobody else's;
// their lengths vary by a sum of the content, so that asking again shows the same length,
// and a stranger's page cannot have them asked for with our cookies.
func compress(next http.Handler) http.Handler { return compressor(next) }

var compressor = func() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.CompressionLevel(gzip.BestSpeed),
		gzhttp.RandomJitter(lengthNoise, 0, false), gzhttp.EnableZstd(false))
	if err != nil {
		panic(fmt.Sprintf("api: compression: %v", err)) // its options are fixed above
	}
	return wrap
}()
