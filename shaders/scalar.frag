// One channel through a colour map. OPACITY_BY_VALUE: low values let the photo through.
uniform sampler2D uColorMap;
uniform vec3 uNotANumber;
uniform int uChannel;
uniform vec2 uRange; // gain, bias
uniform float uOpacity;

void main() {
    vec2 uv = mapCoord();
    bool here = arrived(uv);
    float value = valueAt(uv, uChannel, here);
    float t = clamp(value * uRange.x + uRange.y, 0.0, 1.0);
    vec3 color = texture(uColorMap, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
    if (isnan(value)) color = uNotANumber;
#ifdef OPACITY_BY_VALUE
    outColor = marked(color, uOpacity * t, uv, here);
#else
    outColor = marked(color, uOpacity, uv, here);
#endif
}
