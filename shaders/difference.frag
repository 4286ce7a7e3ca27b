// Map minus another map: one channel, signed; DISTANCE: Euclidean over three components.
uniform sampler2DArray uOther;
uniform vec4 uOtherRegion;
uniform ivec3 uComponents;
uniform ivec3 uOtherComponents;
uniform sampler2D uColorMap;
uniform vec3 uNotANumber;
uniform vec2 uRange; // gain, bias
uniform float uOpacity;

float otherAt(vec2 uv, int channel) {
    return texture(uOther, vec3(uv, float(channel))).r;
}

void main() {
    vec2 uv = mapCoord();
    vec2 otherUv = (vCoord - uOtherRegion.xy) * uOtherRegion.zw;
    bool here = arrived(uv);
    float value = valueAt(uv, uComponents.r, here) - otherAt(otherUv, uOtherComponents.r);
#ifdef DISTANCE
    float green = valueAt(uv, uComponents.g, here) - otherAt(otherUv, uOtherComponents.g);
    float blue = valueAt(uv, uComponents.b, here) - otherAt(otherUv, uOtherComponents.b);
    value = length(vec3(value, green, blue));
#endif
    float t = clamp(value * uRange.x + uRange.y, 0.0, 1.0);
    vec3 color = texture(uColorMap, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
    if (isnan(value)) color = uNotANumber;
    outColor = marked(color, uOpacity, uv, here);
}
