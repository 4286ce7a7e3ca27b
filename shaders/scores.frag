// Three components of PCA scores as red, green and blue. SIGMOID: logistic instead of linear; MASK:
// foreground by one component.
uniform ivec3 uComponents;
uniform vec3 uGain; // range, sign flip and whitening in one
uniform vec3 uBias;
uniform int uMaskComponent;
uniform vec2 uMask; // threshold, 1: keep above / 0: keep below
uniform float uOpacity;

void main() {
    vec2 uv = mapCoord();
    bool here = arrived(uv);
    vec3 score = vec3(valueAt(uv, uComponents.r, here), valueAt(uv, uComponents.g, here),
                      valueAt(uv, uComponents.b, here));
    vec3 t = score * uGain + uBias;
#ifdef SIGMOID
    vec3 color = 1.0 / (1.0 + exp(-t));
#else
    vec3 color = clamp(t, 0.0, 1.0);
#endif
    if (any(isnan(score))) color = notANumber;
#ifdef MASK
    bool above = valueAt(uv, uMaskComponent, here) >= uMask.x;
    if (above != (uMask.y > 0.5)) color = vec3(0.0);
#endif
    outColor = marked(color, uOpacity, uv, here);
}
