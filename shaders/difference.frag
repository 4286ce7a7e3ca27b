// One channel of a map minus one of another map.
uniform sampler2DArray uOther;
uniform vec4 uOtherRegion;
uniform int uChannel;
uniform int uOtherChannel;
uniform vec2 uSigns; // of the map and of the other
uniform sampler2D uColorMap;
uniform vec3 uNotANumber;
uniform vec2 uRange; // gain, bias
uniform float uOpacity;

void main() {
    vec2 uv = mapCoord();
    vec2 otherUv = (vCoord - uOtherRegion.xy) * uOtherRegion.zw;
    bool here = arrived(uv);
    float other = texture(uOther, vec3(otherUv, float(uOtherChannel))).r;
    float value = uSigns.x * valueAt(uv, uChannel, here) - uSigns.y * other;
    float t = clamp(value * uRange.x + uRange.y, 0.0, 1.0);
    vec3 color = texture(uColorMap, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
    if (isnan(value)) color = uNotANumber;
    outColor = marked(color, uOpacity, uv, here);
}
