// Functions that MindSpore calls as custom operators, and two that Python calls.
#include "backward.h"
#include "inference.h"
#include "updates.h"

using namespace kernels;

namespace {

template <class F>
int checked(F f) {
  try {
    f();
    return 0;
  } catch (...) {
    return 1;
  }
}

}  // namespace

extern "C" {

// The number of floats that training keeps for its backward pass.
std::int64_t mindcv_saved_floats(const std::int64_t* code, const std::int64_t* shape) {
  return Program(code, shape).saved;
}

// The number of floats of the gradient behind the first layer, with the factors of its normalization.
std::int64_t mindcv_stem_floats(const std::int64_t* code, const std::int64_t* shape) {
  Program program(code, shape);
  const Layer& l = program.layers[0];
  return (l.pixels + 3) * l.padded_out;
}

void mindcv_set_threads(int threads) { Team::instance().resize(threads); }

int mindcv_threads() { return Team::instance().size(); }

// Inputs: program, images, drop factors, parameters. Outputs: features, saved.
int TrainForward(int count, void** p, int*, std::int64_t** shapes, const char**, void*, void*) {
  return checked([&] {
    Program program(static_cast<Index*>(p[0]), shapes[1]);
    Forward(program, static_cast<float*>(p[1]), static_cast<float*>(p[2]), p + 3, static_cast<float*>(p[count - 1]))
        .run(static_cast<float*>(p[count - 2]));
  });
}

// Inputs: program, images, drop factors, saved, features' gradient, parameters. Outputs: the gradient behind
// the first layer, and the parameters'.
int TrainBackward(int, void** p, int*, std::int64_t** shapes, const char**, void*, void*) {
  return checked([&] {
    Program program(static_cast<Index*>(p[0]), shapes[1]);
    const Index inputs = 5 + program.parameters;
    Backward(program, static_cast<float*>(p[1]), static_cast<float*>(p[2]), static_cast<float*>(p[3]), p + 5,
             p + inputs + 1, static_cast<float*>(p[inputs]))
        .run(static_cast<float*>(p[4]));
  });
}

// Inputs: program, images, saved, gradient behind the first layer, first weight. Output: the images' gradient.
int ImageGradient(int, void** p, int*, std::int64_t** shapes, const char**, void*, void*) {
  return checked([&] {
    Program program(static_cast<Index*>(p[0]), shapes[1]);
    image_gradient(program, static_cast<float*>(p[4]), static_cast<float*>(p[2]), static_cast<float*>(p[3]),
                   static_cast<float*>(p[5]));
  });
}

// Inputs: program, images, parameters. Output: features.
int Evaluate(int count, void** p, int*, std::int64_t** shapes, const char**, void*, void*) {
  return checked([&] {
    Program program(static_cast<Index*>(p[0]), shapes[1]);
    Inference(program, static_cast<float*>(p[1]), p + 2).run(static_cast<float*>(p[count - 1]));
  });
}

#define UPDATE(NAME, FUNCTION, STATES)                                                                       \
  int NAME(int, void** p, int* ranks, std::int64_t** shapes, const char**, void*, void*) {                  \
    return checked([&] { FUNCTION(Update(p, ranks, shapes, STATES)); });                                    \
  }

UPDATE(UpdateRmsProp, rms_prop, 2)
UPDATE(UpdateSgd, sgd, 2)
UPDATE(UpdateMomentum, momentum, 1)
UPDATE(UpdateAdam, adam, 2)

int UpdateAverage(int count, void** p, int* ranks, std::int64_t** shapes, const char**, void*, void*) {
  return checked([&] { average(count, p, ranks, shapes); });
}

}  // extern "C"
