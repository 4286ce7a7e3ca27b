// A rectangle of the screen and the coordinates at its corners; no vertex buffer.
uniform vec4 uQuad;  // left, bottom, right, top in clip space
uniform vec4 uCoord; // the same corners in the coordinates of the fragment shader
out vec2 vCoord;

void main() {
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
    gl_Position = vec4(mix(uQuad.xy, uQuad.zw, corner), 0.0, 1.0);
    vCoord = mix(uCoord.xy, uCoord.zw, corner);
}
