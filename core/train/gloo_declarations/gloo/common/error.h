// SPDX-License-Identifier: Apache-2.0
// Nothing of this is needed to make a process group; see gloo/context.h.
#pragma once
