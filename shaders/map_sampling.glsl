// Reading a map that may be incomplete; vCoord is in photo pixels. Choices that cost time are made
// when the shader is compiled (software rasterisers run both sides of a branch):
//   PENDING   some of the map has not arrived
//   FALLBACK  what has not arrived is shown from uFallback
uniform sampler2DArray uMap;
uniform sampler2DArray uFallback;
uniform sampler2D uCoverage;
uniform vec4 uRegion;     // part of the photo that the map covers: origin, 1 / size
uniform vec2 uTiles;      // tiles of the map across and down
uniform float uHatchStep; // device pixels between the lines that mark a missing tile
in vec2 vCoord;
out vec4 outColor;

const vec3 notANumber = vec3(0.5);

vec2 mapCoord() {
    return (vCoord - uRegion.xy) * uRegion.zw;
}

bool arrived(vec2 uv) {
#ifdef PENDING
    return texture(uCoverage, uv).r > 0.5;
#else
    return true;
#endif
}

// Lines in the upper right corner of every missing tile.
float hatchAt(vec2 uv) {
    vec2 inTile = fract(uv * uTiles);
    if (inTile.x - inTile.y < 0.7) return 0.0;
    float phase = fract((gl_FragCoord.x - gl_FragCoord.y) / uHatchStep);
    return phase < 0.3 ? 0.45 : 0.0;
}

float valueAt(vec2 uv, int channel, bool here) {
    float value = texture(uMap, vec3(uv, float(channel))).r;
#ifdef FALLBACK
    float instead = texture(uFallback, vec3(uv, float(channel))).r;
    value = here ? value : instead;
#endif
    return value;
}

vec4 marked(vec3 color, float alpha, vec2 uv, bool here) {
#ifdef PENDING
    float hatch = here ? 0.0 : hatchAt(uv);
    color = mix(color, vec3(1.0), hatch);
#ifndef FALLBACK
    if (!here) alpha *= hatch;
#endif
#endif
    return vec4(color, alpha);
}
