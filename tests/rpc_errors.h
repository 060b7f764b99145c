// Errors that RPC alone has, for the test of docs/errors.md.
#pragma once

#include "absl/status/status.h"

namespace shoal {

// Each is kFailedPrecondition with the text of KJ's exception.
absl::Status NullInterface();
absl::Status AnotherEventLoop();

}  // namespace shoal
