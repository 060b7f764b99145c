// Compiled with the warnings that users turn on, as errors: see BUILD.bazel.

#include "gtest/gtest.h"
#include "shoal/rpc/channel_stream.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/network.h"
#include "shoal/rpc/server.h"
#include "shoal/rpc/vat.h"
#include "shoal/rpc/vat_network.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/stats.h"
#include "shoal/transport/version.h"

namespace {

TEST(PublicHeaders, CompileWithoutWarnings) {}

}  // namespace
