// One tile of a photo; vCoord is in texture coordinates.
uniform sampler2D uPhoto;
in vec2 vCoord;
out vec4 outColor;

void main() {
    outColor = vec4(texture(uPhoto, vCoord).rgb, 1.0);
}
