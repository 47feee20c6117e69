package guardtest

import (
	"io"
	"net/http"

	"github.com/stretchr/testify/require"
)

// suffixes are what makes a path look like that of a file to some.
var suffixes = []string{
	".css", ".js", ".png", ".ico", ".woff2", ".css.map", "%2Ecss", ";.css", ";x=y.css", "%3B.css", "%3Bjsessionid=1.css", "!.css", "~.css",
	"%00.css", "%0A.css", "%0D.css", "%09.css", "%20.css", "%23.css", "%23/x.css", "%3F.css", "%3Fx.css", "%26.css", "%25.css", "%2500.css",
	"%5Cx.css", "%2Fx.css", "%2fx.css", "%252Fx.css", "/x.css", "//x.css", "/.css", "/..%2Fx.css", "%2F..%2Fx.css", "/../x/1", "/./x.css",
	"?x.css", "?/x.css", "?.css", "?x=.css", "#.css", "%C2%A0.css", "%EF%BC%8Fx.css", "%E2%80%8B.css", "%7F.css", "%FF.css", ",x.css", ":x.css",
	"@x.css", "+x.css", "$x.css", "'x.css", "(x).css", "*x.css", "=x.css", "|x.css", "^x.css", "{x}.css", "[x].css", "\"x.css",
}

// personal answers with a secret to whoever has shown who they are.
func personal(w http.ResponseWriter, r *http.Request) {
	who := r.Header.Get("Cookie") + r.Header.Get("Authorization")
	switch r.Header.Get("X-Mode") {
	case "private":
		w.Header().Set("Cache-Control", "private, max-age=3600")
		who = "by address"
	case "no-store":
		w.Header().Set("Cache-Control", "no-store")
		who = "by address"
	case "sets a cookie":
		w.Header().Set("Set-Cookie", "sid=1")
		who = "by address"
	}
	if who == "" {
		_, _ = io.WriteString(w, "sign in")
		return
	}
	_, _ = io.WriteString(w, "secret")
}

// deceived lets a client fetch its own response under a path that looks like a
// file, and then a stranger ask for the same.
func deceived(e *env) {
	s, _ := e.store(personal)
	client := s.speaker()
	defer client.close()
	for _, suffix := range suffixes {
		for _, own := range []string{"Cookie: sid=1", "Authorization: Bearer 1", "X-Mode: private", "X-Mode: no-store", "X-Mode: sets a cookie"} {
			mine := client.send(asking("/x/1"+suffix, own))
			require.Contains(e, []int{0, 200, 301, 307, 308, 400, 404}, mine.StatusCode, suffix)
			strangers := client.send(asking("/x/1" + suffix))
			require.Equal(e, mine.StatusCode, strangers.StatusCode, suffix)
			require.NotContains(e, strangers.body, "secret", "%s, %s", suffix, own)
			require.Empty(e, strangers.Header["Set-Cookie"], suffix)
		}
	}
}
