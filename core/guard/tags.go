package guard

import (
	"net/http"
	"strings"
)

// Tags find stored responses again. Each kind has a prefix of its own, so that
// no header of a response can name a tag of another kind.

func keyTag(key string) string  { return "k" + key }
func userTag(tag string) string { return "t" + tag }

// resourceTag names all that is stored for a resource, whatever the route, the
// key and the variant.
func (g *Guard) resourceTag(host, path, query string) string {
	dst := []byte{'u'}
	if !g.IgnoreHost {
		dst = appendLowered(dst, host)
	}
	return string(appendField(appendField(dst, path), g.query(query)))
}

// tags of a response to r.
func (g *Guard) tags(n names, r *http.Request, h http.Header) []string {
	target := targetOf(r)
	tags := []string{keyTag(n.key), g.resourceTag(r.Host, target.EscapedPath(), target.RawQuery)}
	for _, line := range h["Cache-Tag"] {
		for tag := range strings.SplitSeq(line, ",") {
			tags = appendTag(tags, tag)
		}
	}
	for _, line := range h["Surrogate-Key"] {
		for tag := range strings.FieldsSeq(line) {
			tags = appendTag(tags, tag)
		}
	}
	return tags
}

// maxTags bounds what one response can make the store remember.
const maxTags = 64

func appendTag(tags []string, tag string) []string {
	if tag = strings.TrimSpace(tag); tag == "" || len(tags) == maxTags {
		return tags
	}
	return append(tags, userTag(tag))
}
